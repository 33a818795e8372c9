""".ci/gallery.py: of a run a command that trains it, its figures, a small picture."""

import importlib.util
import json
import shlex
from datetime import UTC, datetime
from pathlib import Path

import jax
import numpy as np
import pytest
from absl import flags
from ml_collections import config_flags
from PIL import Image

from configs import base
from jaxdiff.runs import workdir
from jaxdiff.train.state import num_params

SCRIPT = Path(__file__).parents[2] / ".ci" / "gallery.py"


@pytest.fixture(scope="module")
def gallery():
    """The script as a module: it is in no package."""
    spec = importlib.util.spec_from_file_location("gallery", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def write(gallery):
    def write(workdir, out, **changes):
        fields = {"picture": None, "figures": [], "force": False} | changes
        gallery.write("tiny", base.get_config(), workdir, out=out, **fields)

    return write


def test_a_run_in_figures(write, whole, tmp_path, capsys):
    folder, _, state = whole
    figures = tmp_path / "compare.json"
    figures.write_text('{"command": "python -m launch.compare", "rows": [1.5]}')
    write(folder, tmp_path / "kept", figures=[figures])
    kept = json.loads((tmp_path / "kept" / "tiny.json").read_text())
    rows = workdir.read_metrics(folder)
    assert kept["config"] == "tiny" and kept["step"] == 8
    assert kept["parameters"] == num_params(state.params)
    assert kept["last"] == rows[-1] and kept["training_seconds"] > 0
    assert kept["figures"] == {"compare": json.loads(figures.read_text())}
    assert kept["machine"]["devices"] == 4 and kept["machine"]["jax"] == jax.__version__
    assert set(kept["machine"]) == {"device", "devices", "cpu_cores", "jax", "python"}
    ended = datetime.fromtimestamp((folder / "metrics.jsonl").stat().st_mtime, UTC)
    assert kept["date"] == str(ended.date())
    printed = capsys.readouterr().out
    with Image.open(tmp_path / "kept" / "tiny.png") as picture:
        assert picture.width == 640
        assert (
            f"tiny.png: 640x{picture.height}, " in printed and "warning" not in printed
        )


def test_the_command_gives_the_runs_config(gallery, whole, monkeypatch):
    """Parsed as launch.train does, its words make the stored config of the file's."""
    folder, *_ = whole
    words = shlex.split(gallery.command("tiny", base.get_config(), folder))
    start = ["python", "-m", "launch.train", "--config=configs/tiny.py"]
    assert words[:5] == [*start, f"--workdir={folder}"]
    config, values = base.get_config(), flags.FlagValues()
    monkeypatch.setattr("sys.argv", ["launch.train", *words[5:]])  # which it reads
    config_flags.DEFINE_config_dict("config", config, flag_values=values)
    values(["launch.train", *words[5:]])
    stored = workdir.load_config(folder).to_dict()
    assert config.to_dict() == stored != base.get_config().to_dict()


def test_the_command_leaves_out_places_and_what_was_measured(gallery, tmp_path):
    config = base.get_config()
    config.data.standardise = True
    stored = config.copy_and_resolve_references()
    stored.data.update({"mean": (0.5,), "std": (0.2,), "data_dir": "/home/me/data"})
    stored.train.num_steps = 7
    workdir.save_config(tmp_path, stored)
    words = shlex.split(gallery.command("tiny", config, tmp_path))
    assert words[5:] == ["--config.train.num_steps=7"]


def test_training_seconds_by_hand(gallery):
    def rows(*pairs):
        return [{"step": s, "examples_per_second": r} for s, r in pairs]

    # 30 steps of 4 at 8 a second, although the machine slept in the second ten
    assert gallery.training_seconds(rows((10, 8.0), (20, 0.001), (30, 8.0)), 4) == 15
    # the first 10 had no rate: they count as the 20 after them
    assert gallery.training_seconds(rows((10, 0.0), (30, 8.0)), 4) == 15
    assert gallery.training_seconds(rows((1, 0.0)), 4) is None


@pytest.mark.parametrize("colours", ["grey", "few", "many"])
def test_small_pictures_lose_nothing(gallery, tmp_path, colours):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 30, 3), np.uint8)
    if colours == "grey":
        pixels = pixels[..., :1].repeat(3, -1)
    if colours == "few":
        pixels[..., 1:] = pixels[..., :1] // 64 * [50, 70]
    Image.fromarray(pixels).save(tmp_path / "a.png", compress_level=0)
    data, size = gallery.small_png(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(data)
    with Image.open(tmp_path / "b.png") as image:
        assert image.mode == {"grey": "L", "few": "P", "many": "RGB"}[colours]
        assert image.size == size == (30, 40)
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), pixels)


def test_wide_pictures_are_reduced_until_they_are_small(gallery, tmp_path):
    rng = np.random.default_rng(0)
    smooth = np.tile(np.linspace(0, 255, 1000, dtype=np.uint8), (500, 1))
    Image.fromarray(smooth).save(tmp_path / "smooth.png")
    assert gallery.small_png(tmp_path / "smooth.png")[1] == (640, 320)
    noise = rng.integers(0, 256, (300, 1200), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    data, size = gallery.small_png(tmp_path / "noise.png")
    assert size == (640, 160) and len(data) <= gallery.MAX_BYTES
    noise = rng.integers(0, 256, (600, 600, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    data, size = gallery.small_png(tmp_path / "noise.png")
    assert size[0] in (320, 400) and size[0] == size[1]


def test_refuses(write, whole, tmp_path):
    folder, *_ = whole
    (tmp_path / "bad.json").write_text("{")
    for changes, words in (
        ({"picture": tmp_path / "none.png"}, "--picture: there is no file .*none.png"),
        ({"picture": tmp_path / "bad.json"}, "bad.json cannot be used"),
        ({"figures": [tmp_path / "none.json"]}, "--figures: there is no file .*none"),
        ({"figures": [tmp_path / "bad.json"]}, "bad.json is not valid JSON"),
        ({"figures": [tmp_path / "a.json", folder / "a.json"]}, "need different names"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=words):
            write(folder, tmp_path / "kept", **changes)
    assert not (tmp_path / "kept").exists()
    write(folder, tmp_path / "kept")
    with pytest.raises(ValueError, match=r"tiny.png, .*tiny.json exist; --force"):
        write(folder, tmp_path / "kept")
    write(folder, tmp_path / "kept", force=True)


def test_refuses_a_run_that_has_not_ended(gallery, write, whole, tmp_path):
    folder, run, _ = whole
    config = run.experiment.config.copy_and_resolve_references()
    config.train.num_steps = 9
    workdir.save_config(tmp_path, config)
    for name in ("metrics.jsonl", "checkpoints"):
        (tmp_path / name).symlink_to(folder / name)
    with pytest.raises(ValueError, match=r"is at step 8 of 9; train it to the end"):
        gallery.describe("tiny", base.get_config(), tmp_path)
    with pytest.raises(FileNotFoundError, match="samples has no picture; give one"):
        write(tmp_path, tmp_path / "kept")
