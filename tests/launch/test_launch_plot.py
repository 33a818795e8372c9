"""launch.plot: pictures of a run or of a config alone, and mistakes of one line."""

import ast
import re

import pytest

from jaxdiff.runs.plot.run import SPECS
from tests.launch.conftest import ROOT, launch
from tests.runs.plot.test_run import OF_ROWS


@pytest.fixture(scope="module")
def outcomes(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    images, table = (f"--workdir={trained[k]}" for k in ("images", "table"))
    iris = "--config=configs/iris.py:smoke"
    cases = {
        "film": ("film", images, "--num=3"),
        "steps": ("film", images, "--steps=2", "--seed=1", "--num=1"),
        "override": ("grid", images, "--num=2", "--config.sampler.guidance=1.0"),
        "table": ("all", table, "--num=4"),
        "config": ("corruption", iris),
        "unknown": ("flim", images),
        "misfit": ("film", table),
        "untrained": ("pairs", iris),
        "both": ("loss", images, iris),
        "neither": ("schedules",),
        "no kind": (images,),
        "two kinds": ("film", "grid", images),
        "no steps": ("film", images, "--steps=0"),
        "no images": ("grid", images, "--num=0"),
        "features of few": ("steps", images, "--num=19", "--features=runs/any"),
        "sampler of a loss": ("loss", images, "--config.sampler.num_steps=3"),
        "no run": ("film", f"--workdir={out / 'nothing'}"),
    }
    done = launch(
        {k: ("launch.plot", *v, f"--out={out / k}") for k, v in cases.items()}
        | {"no out": ("launch.plot", "schedules", iris)}
        | {"again": ("launch.plot", "film", images, f"--out={out / 'film'}")}
        | {"help": ("launch.plot", "--help")}
    )
    return out, done


def test_every_kind_that_fits_is_written_and_printed(outcomes):
    out, done = outcomes
    for name, kinds in (
        ("film", ("film",)),
        # of one column of numbers, too few for a scatter plot
        ("table", [kind for kind in OF_ROWS if kind != "corruption"]),
        ("steps", ("film",)),
        ("override", ("grid",)),
        ("config", ("corruption",)),
    ):
        assert done[name].status == 0, done[name].err
        paths = [str(out / name / f"{kind}.png") for kind in kinds]
        assert done[name].out.split() == paths
        assert sorted(str(p) for p in (out / name).glob("*.png")) == sorted(paths)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unknown", ("'flim'", "did you mean 'film'", "It has: all", *SPECS)),
        ("misfit", ("'film' is for images",)),
        ("untrained", ("'pairs' needs a trained run", "--workdir")),
        ("both", ("either --workdir or --config=FILE",)),
        ("neither", ("--workdir is missing",)),
        ("no kind", ("which kind of picture",)),
        ("two kinds", ("'grid' is not a flag",)),
        ("no steps", ("steps", "0")),
        ("no images", ("num", "0")),
        ("features of few", ("--features changes nothing in 'steps'", "--num=20")),
        ("sampler of a loss", ("sampler.num_steps=3 changes nothing in 'loss'",)),
        ("no run", ("is not a run's workdir",)),
        ("no out", ("--out is missing",)),
        ("again", ("film.png", "exist")),
    ],
)
def test_a_mistake_is_one_line_and_no_picture(outcomes, name, words):
    out, done = outcomes
    assert done[name].status == 2
    assert len(done[name].err.splitlines()) == 1, done[name].err
    for word in words:
        assert word in done[name].err
    assert name == "again" or not (out / name).exists()


def test_help_lists_the_kinds(outcomes):
    _, done = outcomes
    text = done["help"].out + done["help"].err
    assert "Kinds:" in text and "--[no]force" in text
    doc = ast.get_docstring(ast.parse((ROOT / "launch" / "plot.py").read_text())) or ""
    words = {*re.findall(r"\w+", doc.partition("Kinds:")[2])}
    missing = {*SPECS} - words
    assert not missing, f"name {missing} among the kinds of launch/plot.py's docstring"
