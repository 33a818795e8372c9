"""The picture of losses."""

import numpy as np
import pytest
from PIL import Image

from jaxdiff.plots import losses

STEPS = np.arange(1, 31)
FALLS = {losses.TRAINING: (STEPS, 1 / STEPS)}
TURNS = {losses.VALIDATION: (STEPS[::5], 0.2 + (STEPS[::5] - 12) ** 2 / 900)}
BY = {"log-SNR below -4": (STEPS[::5], STEPS[::5] / 30.0)}
RUNS = {
    "one": {"": FALLS},
    "validated": {"": FALLS | TURNS},
    "by noise": {"": FALLS | TURNS | BY},
    "two": {"lr=1": FALLS | TURNS | BY, "lr=$2": FALLS},
    "zero": {"": {losses.TRAINING: (STEPS, np.zeros(30))}},  # has no logarithm
    "negative": {"": {losses.TRAINING: (STEPS, -STEPS)}},
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder, sizes = tmp_path_factory.mktemp("drawn"), {}
    for name, runs in RUNS.items():
        losses.save_losses(folder / f"{name}.png", runs)
        with Image.open(folder / f"{name}.png") as image:
            sizes[name] = np.asarray(image.convert("L"), np.int32)
    return sizes


def test_each_differs_from_the_others(drawn):
    for name, pixels in drawn.items():
        assert pixels.std() > 1
        others = (other for k, other in drawn.items() if k != name)
        assert not any(np.array_equal(pixels, other) for other in others)


def test_a_second_panel_is_of_one_run_by_noise(drawn):
    assert drawn["by noise"].shape[1] > 1.5 * drawn["validated"].shape[1]
    widths = {drawn[name].shape[1] for name in ("one", "validated", "two")}
    assert len(widths) == 1


def test_the_terms_of_a_loss_and_its_epochs_are_drawn(drawn, tmp_path):
    terms = {k: (STEPS, STEPS + i) for i, k in enumerate(losses.TERMS)}
    losses.save_losses(tmp_path / "terms.png", {"": FALLS | terms})
    points = [(10, 0.3), (20, 0.1)]
    losses.save_losses(tmp_path / "epochs.png", {"": FALLS}, epochs=points)
    with Image.open(tmp_path / "terms.png") as image:
        assert image.width > 1.5 * drawn["one"].shape[1]
    with Image.open(tmp_path / "epochs.png") as image:
        pixels = np.asarray(image.convert("L"), np.int32)
    assert pixels.shape[1] == drawn["one"].shape[1]
