"""launch.export: the file that it writes; a mistake is one line, and no file."""

import json

import numpy as np
import pytest

from tests.launch.conftest import launch, one_line


@pytest.fixture(scope="module")
def made(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    images, table = (f"--workdir={trained[k]}" for k in ("images", "table"))
    (folder / "there").write_text("precious")
    command, cpu = "launch.export", "--platforms=cpu"
    cases = {
        "images": (images, cpu, f"--out={folder}/deep/images"),
        "table": (table, cpu, f"--out={folder}/table"),
        "no out": (images,),
        "there": (images, f"--out={folder}/there"),
        "forced": (images, cpu, f"--out={folder}/forced", "--force"),
        "no run": (f"--workdir={folder}", f"--out={folder}/new"),
        "platform": (images, f"--out={folder}/new", "--platforms=cpu,gpu"),
        "trained": (images, f"--out={folder}/new", "--config.seed=3"),
        "solver": (images, f"--out={folder}/new", "--config.sampler.solver=hein"),
    }
    (folder / "forced").write_text("old")
    return folder, launch({name: (command, *args) for name, args in cases.items()})


@pytest.mark.parametrize("name", ["images", "table"])
def test_a_file_and_a_line_about_it(name, made):
    folder, done = made
    assert done[name].status == 0, done[name].err
    (path,) = folder.glob(f"**/{name}")
    assert "exporting step 2 for cpu" in done[name].out
    assert f"{path}: 0." in done[name].out and "inputs: seed, index" in done[name].out
    with np.load(path) as file:
        about = json.loads(file["about"].item())
        assert about["weights"] == len(file.files) - 2
    assert about["run"]["step"] == 2 and about["platforms"] == ["cpu"]
    assert list(path.parent.glob(".*")) == []  # no parts of files


def test_only_force_overwrites(made):
    folder, done = made
    one_line(done["there"], "exists; choose another name, or --force")
    assert (folder / "there").read_text() == "precious"
    assert done["forced"].status == 0 and (folder / "forced").stat().st_size > 100


@pytest.mark.parametrize(
    ("name", "words"),
    {
        "no out": "--out is missing: which file shall be written",
        "no run": "is not a run's workdir",
        "platform": "--platforms must be different ones of cpu, cuda, rocm, tpu, got",
        "trained": r"is trained and cannot have seed=3",
        "solver": "has no 'hein'",
    }.items(),
)
def test_a_mistake_is_one_line(name, words, made):
    folder, done = made
    one_line(done[name], words)
    assert not (folder / "new").exists()
