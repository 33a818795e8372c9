"""`.ci/gallery.py` as its users run it, on a table's run of two steps."""

import json
import shlex

import pytest
from PIL import Image

from tests.launch.conftest import SMALL_IRIS, launch


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run trained on two devices, and kept with the figures of another command."""
    root = tmp_path_factory.mktemp("gallery")
    figures, new = root / "compare.json", f"--out={root / 'new'}"
    figures.write_text('{"real_images": 24}')
    keep = (".ci/gallery.py", "iris", f"--workdir={root / 'run'}")
    kept = (*keep, f"--out={root / 'kept'}", f"--figures={figures}")
    train = ("launch.train", *SMALL_IRIS, "--config.train.cpu_devices=2")
    done = launch(
        {
            "train": (*train, f"--workdir={root / 'run'}"),
            "keep": kept,
            # mistakes
            "no name": (".ci/gallery.py", f"--workdir={root / 'run'}", new),
            "no config": (".ci/gallery.py", "irs", f"--workdir={root / 'run'}", new),
            "no workdir": (".ci/gallery.py", "iris", new),
            "no run": (".ci/gallery.py", "iris", f"--workdir={root / 'none'}", new),
            "no flag": (*keep, new, "--pictures=a.png"),
            "kept before": kept,
            "no figures": (*keep, new, f"--figures={root / 'none.json'}"),
        }
    )
    return root, done


def test_the_kept_command_trains_the_run(made):
    """The same workdir takes it: no field differs, so that it resumes, and is done."""
    root, done = made
    for name in ("train", "keep"):
        assert done[name].status == 0, (name, done[name].err)
    kept = json.loads((root / "kept" / "iris.json").read_text())
    assert kept["machine"]["devices"] == 2 and kept["step"] == 2
    assert kept["figures"]["compare"]["real_images"] == 24
    words = shlex.split(kept["command"])
    assert words[:2] == ["python", "-m"]
    again = launch({"again": tuple(words[2:])})["again"]
    assert again.status == 0, again.err
    assert "resuming" in again.out + again.err
    with Image.open(root / "kept" / "iris.png") as picture:
        assert picture.width <= 640


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no name", "required: name"),
        ("no config", "did you mean 'iris'"),
        ("no workdir", "--workdir is missing"),
        ("no run", "is not a run's workdir"),
        ("no flag", "--pictures=a.png"),
        ("kept before", "iris.json exist; --force overwrites"),
        ("no figures", "--figures: there is no file"),
    ],
)
def test_a_mistake_is_one_line_and_no_file(made, name, words):
    root, done = made
    assert done[name].status == 2
    assert len(done[name].err.strip().splitlines()) == 1, done[name].err
    assert words in done[name].err
    assert not (root / "new").exists()
