"""launch.compare, as users run it, on the features of a tiny classifier."""

import importlib
import json
import shlex

import numpy as np
import pytest
from PIL import Image

from tests.launch.conftest import launch
from tests.runs.conftest import untrained


def make_classifier(folder):
    """A run of a classifier of the images' shape and classes."""
    config = importlib.import_module("configs.fashion_features").get_config("smoke")
    config.data.update({"shape": (4, 4, 1), "num_classes": 3, "num_examples": 24})
    config.model.channels = 8
    config.train.cpu_devices = 2  # which launch.compare has not
    untrained(config, folder)


@pytest.fixture(scope="module")
def made(trained, tmp_path_factory):
    """The images' run sampled, and compared with pictures by a classifier."""
    root = tmp_path_factory.mktemp("compare")
    run, images, samples = root / "classifier", trained["images"], root / "samples"
    make_classifier(run)
    (root / "broken").mkdir()
    (root / "broken" / "a.png").write_bytes(b"no picture")
    (root / "pictures").mkdir()
    for i in range(5):
        pixels = np.full((2, 2), 40 * i, np.uint8)
        Image.fromarray(pixels).save(root / "pictures" / f"{i}.png")
    both = ("launch.compare", str(samples), str(root / "pictures"))
    one, features = both[:2], f"--features={run}"
    weights, new = f"--features={root}/w.safetensors", f"--out={root / 'new'}"
    figures = root / "compared" / "compare.json"
    done = launch(
        {
            "samples": (
                *("launch.sample", f"--workdir={images}", "--num=6"),
                f"--out={samples}",
            ),
            "compare": (*both, features, f"--out={figures.parent}"),
            "label": (*one, features, f"--out={root / 'label'}", "--label=class 1"),
            # mistakes
            "no features": (*both, new),
            "no out": (*both, features),
            "no folders": ("launch.compare", features, new),
            "full out": (*both, features, f"--out={figures.parent}"),
            "no classifier": (*both, f"--features={images}", new),
            "no run": (*both, f"--features={samples}", new),
            "no file": (*one, weights, f"--data={images}", new),
            "no data": (*one, weights, new),
            "no real run": (*one, weights, f"--data={samples}", new),
            "data twice": (*one, features, f"--data={images}", new),
            "unknown label": (*one, features, new, "--label=3"),
            "too few": (*one, features, new, "--num_real=3"),
            "broken picture": ("launch.compare", str(root / "broken"), features, new),
        }
    )
    return root, done


def test_a_table_and_two_files(made):
    root, done = made
    for name in ("samples", "compare", "label"):
        assert done[name].status == 0, (name, done[name].err)
    table = json.loads((root / "compared" / "compare.json").read_text())
    assert [row["images"] for row in table["rows"]] == [6, 5]
    assert table["rows"][0]["label_accuracy"] is not None
    assert table["real_images"] == 24
    words = shlex.split(table["command"])
    assert words[:4] == ["python", "-m", "launch.compare", str(root / "samples")]
    out = done["compare"].out
    assert out.splitlines()[0].split()[:3] == ["folder", "images", "Frechet"]
    assert f"{table['rows'][1]['frechet']:.4g}" in out
    assert "pictures: 2x2, enlarged by bicubic." in out and "8 bits" in out
    assert "warning: 5 images span no covariance of 8 features" in out
    assert json.loads((root / "label" / "compare.json").read_text())["label"] == (
        "1 class 1"
    )
    for name in ("compared", "label"):
        with Image.open(root / name / "compare.png") as picture:
            assert picture.width > 200


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no features", "--features is missing"),
        ("no out", "--out is missing"),
        ("no folders", "which folder of samples"),
        ("full out", "is not empty; choose another folder, or --force"),
        ("no classifier", "a run of task='diffusion'; it takes the run"),
        ("no run", "is not a run's workdir"),
        ("no real run", "is not a run's workdir"),
        ("no file", "w.safetensors of weights; to convert pt_inception"),
        ("no data", "has no data of its own: give --data=WORKDIR"),
        ("data twice", "compares with its own data; leave out"),
        ("unknown label", "a class's name, got 3; classes: 0 class 0"),
        ("too few", "num_real"),
        ("broken picture", "a.png cannot be used as a picture"),
    ],
)
def test_a_mistake_is_one_line_and_no_file(made, name, words):
    root, done = made
    assert done[name].status == 2
    assert len(done[name].err.strip().splitlines()) == 1, done[name].err
    assert words in done[name].err
    assert not (root / "new").exists()
