"""Runs to edit with, pictures to edit, and how an edit is requested."""

import numpy as np
import pytest
from PIL import Image

from jaxdiff.runs.edit import run as edit
from jaxdiff.runs.edit.request import EditRequest
from tests.runs.conftest import IMAGES as SHAPES
from tests.runs.conftest import tiny_config, untrained

IMAGES = {**SHAPES, "model__name": "speck"}


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Of grey images with and without a null condition, of colour, of a table."""
    folder = tmp_path_factory.mktemp("runs")
    fields = {
        "grey": {**IMAGES, "diffusion__label_dropout": 0.2},
        "colour": {
            **IMAGES,
            "data__shape": (8, 8, 3),
            "diffusion__condition": "none",
        },
        "no null": {**IMAGES, "diffusion__label_dropout": 0.0},
        "table": {},
    }
    return {
        name: untrained(tiny_config(**given), folder / name)
        for name, given in fields.items()
    }


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Pictures of 8x8 and of other sizes, a folder of three, masks, and no picture."""
    folder, rng = tmp_path_factory.mktemp("files"), np.random.default_rng(0)

    def picture(name, shape):
        (folder / name).parent.mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)

    picture("a.png", (8, 8))
    picture("colour.png", (8, 8, 3))
    picture("small.png", (4, 4))
    picture("wide.png", (8, 12))
    for i in range(3):
        picture(f"three/{i}.png", (8, 8))
    (folder / "text.png").write_text("no picture")
    mask = np.zeros((8, 8), np.uint8)
    mask[2:5, 3:] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    Image.fromarray(mask[:, :6]).save(folder / "narrow.png")
    Image.fromarray(0 * mask).save(folder / "black.png")
    Image.fromarray(0 * mask + 255).save(folder / "white.png")
    return folder


@pytest.fixture
def edited(runs, tmp_path):
    """(kind, run, fields of config.sampler and EditRequest) -> EditRequest, result."""

    def run(kind, run="grey", sampling=(), **fields):
        given = runs[run].with_sampler(**dict(sampling))
        request = EditRequest(given, **fields)
        return request, edit.run(kind, request, tmp_path / "out")

    return run
