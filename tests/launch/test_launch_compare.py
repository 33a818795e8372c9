"""launch.compare and launch.results, as users run them, on a judge of two steps."""

import json
import shlex

import numpy as np
import pytest
from PIL import Image

from tests.launch.conftest import launch

JUDGE = (
    "--config=configs/fashion_judge.py:smoke",
    "--config.data.shape=(4, 4, 1)",
    "--config.data.num_classes=3",
    "--config.data.num_examples=24",
    "--config.model.head_channels=8",
    "--config.model.channels=8",
    "--config.train.cpu_devices=2",  # which launch.compare has not
)


@pytest.fixture(scope="module")
def made(trained, tmp_path_factory):
    """A judge trained, the images' run sampled, both compared, and results kept."""
    root = tmp_path_factory.mktemp("compare")
    judge, images, samples = root / "judge", trained["images"], root / "samples"
    (root / "broken").mkdir()
    (root / "broken" / "a.png").write_bytes(b"no picture")
    (root / "pictures").mkdir()
    for i in range(5):
        pixels = np.full((2, 2), 40 * i, np.uint8)
        Image.fromarray(pixels).save(root / "pictures" / f"{i}.png")
    both = ("launch.compare", str(samples), str(root / "pictures"))
    one, seen = both[:2], f"--judge={judge}"
    new = f"--out={root / 'new'}"
    figures = root / "compared" / "compare.json"
    results = ("launch.results", "fashion_judge", f"--workdir={judge}")
    done = launch(
        {
            "judge": ("launch.train", *JUDGE, f"--workdir={judge}"),
            "samples": (
                *("launch.sample", f"--workdir={images}", "--num=6"),
                f"--out={samples}",
            ),
            "compare": (*both, seen, f"--out={figures.parent}"),
            "label": (*one, seen, f"--out={root / 'label'}", "--label=1"),
            "results": (*results, f"--out={root / 'kept'}", f"--figures={figures}"),
            # mistakes
            "no judge": (*both, new),
            "no out": (*both, seen),
            "no folders": ("launch.compare", seen, new),
            "full out": (*both, seen, f"--out={figures.parent}"),
            "judge is none": (*both, f"--judge={images}", new),
            "judge is no run": (*both, f"--judge={samples}", new),
            "no file": (*one, f"--judge={root}/w.safetensors", f"--data={images}", new),
            "no data": (*one, f"--judge={root}/w.safetensors", new),
            "data twice": (*one, seen, f"--data={images}", new),
            "unknown label": (*one, seen, new, "--label=3"),
            "too few": (*one, seen, new, "--num_real=3"),
            "broken picture": ("launch.compare", str(root / "broken"), seen, new),
            "no config": ("launch.results", "fashion_juge", f"--workdir={judge}", new),
            "no workdir": ("launch.results", "fashion_judge", new),
            "kept before": (*results, f"--out={root / 'kept'}"),
            "no figures": (*results, new, f"--figures={root / 'none.json'}"),
        }
    )
    return root, done


def test_a_table_and_two_files(made):
    root, done = made
    for name in ("judge", "samples", "compare", "label", "results"):
        assert done[name].status == 0, (name, done[name].err)
    told = json.loads((root / "compared" / "compare.json").read_text())
    assert [row["images"] for row in told["rows"]] == [6, 5]
    assert told["rows"][0]["own_label"] is not None and told["real_images"] == 24
    words = shlex.split(told["command"])
    assert words[:4] == ["python", "-m", "launch.compare", str(root / "samples")]
    out = done["compare"].out
    assert out.splitlines()[0].split()[:3] == ["folder", "images", "Frechet"]
    assert f"{told['rows'][1]['frechet']:.4g}" in out
    assert "pictures: 2x2, enlarged by bicubic." in out and "8 bits" in out
    assert "warning: 5 images span no covariance of 8 features" in out
    assert json.loads((root / "label" / "compare.json").read_text())["label"] == (
        "1 class 1"
    )
    for name in ("compared", "label"):
        with Image.open(root / name / "compare.png") as picture:
            assert picture.width > 200


def test_results_give_the_command_that_trains_the_run(made):
    """The same workdir takes it: no field differs, so that it resumes, and is done."""
    root, _ = made
    told = json.loads((root / "kept" / "fashion_judge.json").read_text())
    assert told["machine"]["devices"] == 2 and told["step"] == 2
    assert told["figures"]["compare"]["real_images"] == 24
    words = shlex.split(told["command"])
    assert words[:2] == ["python", "-m"]
    again = launch({"again": tuple(words[2:])})["again"]
    assert again.status == 0, again.err
    assert "resuming" in again.out + again.err
    with Image.open(root / "kept" / "fashion_judge.png") as picture:
        assert picture.width <= 640


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no judge", "--judge is missing"),
        ("no out", "--out is missing"),
        ("no folders", "which folder of samples"),
        ("full out", "is not empty; choose another folder, or --force"),
        ("judge is none", "a run of task='diffusion'; a judge is a run"),
        ("judge is no run", "is not a run's workdir"),
        ("no file", "w.safetensors of weights; to convert pt_inception"),
        ("no data", "has no data of its own: give --data=WORKDIR"),
        ("data twice", "compares with its own data; leave it out"),
        ("unknown label", "from 0 to 2, got 3; classes: 0 class 0"),
        ("too few", "num_real"),
        ("broken picture", "a.png cannot be used as a picture"),
        ("no config", "did you mean 'fashion_judge'"),
        ("no workdir", "--workdir is missing"),
        ("kept before", "fashion_judge.json exist; --force overwrites"),
        ("no figures", "--figures: there is no file"),
    ],
)
def test_a_mistake_is_one_line_and_no_file(made, name, words):
    root, done = made
    assert done[name].status == 2
    assert len(done[name].err.strip().splitlines()) == 1, done[name].err
    assert words in done[name].err
    assert not (root / "new").exists()
