"""The README: its first program runs, and whatever it names exists."""

import ast
import importlib
import json
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import jaxdiff.diffusion.solvers
from configs import base
from jaxdiff import choices
from jaxdiff.diffusion import grids, rules
from jaxdiff.runs.edit.run import KINDS as EDITS
from jaxdiff.runs.plot.run import SPECS as PLOTS
from tests.runs.conftest import SPECK, tiny_config, untrained
from tests.slow import slow_but

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
RESULTS = ROOT / "configs" / "results"
ARTICLES = (RESULTS / "articles.md").read_text()
GALLERY = (RESULTS / "README.md").read_text() + ARTICLES
PROSE = re.sub(r"^```.*?^```\n", "", TEXT, flags=re.M | re.S)
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, flags=re.M | re.S)
PYTHON = [block for language, block in BLOCKS if language == "python"]
CONFIGS = {p.stem for p in (ROOT / "configs").glob("*.py")} - {"__init__", "base"}
BENCH = (ROOT / "launch/bench.py").read_text()
# launch.bench defines flags when it is imported, as often as others do
BENCHES = re.search(r"^KINDS = (\(.+?\n\))$", BENCH, re.M | re.S)
assert BENCHES
KINDS = {
    "launch.plot": {"all", *PLOTS},
    "launch.edit": {*EDITS},
    "launch.bench": {*re.findall(r'"(\w+)"', BENCHES[1])},
}


def test_it_is_short():
    assert len(TEXT.splitlines()) < 300
    for line in PROSE.splitlines():
        assert len(line) <= 88 or line.startswith(("|", "![")), line


# -- the toy


@pytest.fixture(
    scope="module", params=slow_but((40,), (40, 4000)), ids="{} steps".format
)
def toy(request, tmp_path_factory):
    """The first program: its samples, modules and picture. As a reader runs it, and
    with a hundredth of its steps and samples.
    """
    folder = tmp_path_factory.mktemp("toy")
    end = (
        "import json, sys, numpy\n"
        "u = numpy.linspace(0, 1, 101)[:, None]\n"
        "numpy.savez('samples.npz', x=x, data=swirl(u))\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    code = PYTHON[0].replace("4000", str(request.param))
    (folder / "toy.py").write_text(code + end)
    path = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    run = "import runpy; runpy.run_path('toy.py')"
    done = subprocess.run(
        [sys.executable, "-c", path + run], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with np.load(folder / "samples.npz") as file:
        x, data = file["x"], file["data"]
    assert len(x) == request.param
    return folder, json.loads(done.stdout), x, data


def test_the_toy_is_short_and_needs_the_mathematics_alone(toy):
    assert len([line for line in PYTHON[0].splitlines() if line]) <= 30
    assert all(len(line) <= 88 for line in PYTHON[0].splitlines())
    ours = {name for name in toy[1] if name.startswith("jaxdiff.")}
    assert "jaxdiff.diffusion.sampling" in ours
    allowed = ("jaxdiff.diffusion", "jaxdiff.arrays", "jaxdiff.rng")
    assert all(name.startswith(allowed) for name in ours)
    tops = set()
    for node in ast.walk(ast.parse(PYTHON[0])):
        if isinstance(node, ast.Import):
            tops |= {alias.name.split(".")[0] for alias in node.names}
        assert not isinstance(node, ast.ImportFrom)
    assert tops == {"flax", "jax", "jaxdiff", "matplotlib", "optax"}


def test_the_toys_samples_lie_along_its_curve(toy):
    """Near the curve, which is known in closed form, and evenly along it."""
    _, _, x, data = toy
    u = np.linspace(0, 1, 2001)
    curve = (0.5 + 1.5 * u)[:, None] * np.stack([np.cos(13 * u), np.sin(13 * u)], 1)
    np.testing.assert_allclose(data, curve[::20], atol=1e-5)
    if len(x) < 4000:
        return  # it has hardly been trained
    distances = np.stack([np.linalg.norm(point - curve, axis=1) for point in x])
    near = distances.min(1) < 0.15  # two arms are .72 apart
    assert near.mean() > 0.95
    # the data are uniform in u: a tenth of them in each tenth
    share = np.histogram(u[distances.argmin(1)], 10, (0, 1))[0] / len(x)
    assert 0.06 < share.min() and share.max() < 0.15


def test_the_picture_is_the_toys(toy):
    with Image.open(toy[0] / "toy.png") as drawn:
        with Image.open(ROOT / first_image()) as shown:
            assert drawn.size == shown.size
        assert np.asarray(drawn.convert("L")).std() > 10  # not an empty figure


def first_image() -> str:
    return images()[0]


# -- a trained run


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A folder with runs/digits, of the digits' shape and number of classes."""
    folder = tmp_path_factory.mktemp("readme")
    config = tiny_config(**{**SPECK, "data__num_classes": 10})
    untrained(config, folder / "runs" / "digits")
    return folder


def execute(code, folder, monkeypatch):
    monkeypatch.chdir(folder)
    names = {}
    exec(code, names)
    return names


def test_a_run_is_sampled_and_edited_as_shown(digits, monkeypatch):
    names = execute(PYTHON[1], digits, monkeypatch)
    sevens = names["sevens"]
    assert sevens.values.shape == (16, 8, 8, 1) and sevens.values.dtype == np.uint8
    assert {*sevens.labels} == {7}
    assert (digits / "sevens.png").exists() and (digits / "halves.png").exists()


def test_a_table_is_fitted_as_shown(digits, monkeypatch):
    short = '"mlp", "train.num_steps": 4, "train.batch_size": 8}'
    code = PYTHON[2].replace('"mlp"}', short)
    assert short in code
    names = execute(code, digits, monkeypatch)
    lines = (digits / "wines.csv").read_text().splitlines()
    assert names["model"].run.step == 4 and len(names["model"].columns) == 14
    assert len(lines) == 201 and all(x.endswith("class_1") for x in lines[1:])


def test_a_run_composes_with_the_mathematics_as_shown(digits, monkeypatch):
    names = execute(PYTHON[3], digits, monkeypatch)
    assert names["images"].shape == (4, 8, 8, 1) and names["images"].dtype == np.uint8
    assert np.isfinite(names["x"]).all() and names["images"].std() > 10


# -- what is named


def images(text: str = TEXT) -> list[str]:
    return re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)


def test_every_picture_exists_and_is_shown():
    shown = [ROOT / path for path in images()]
    shown += [RESULTS / path for path in images(GALLERY)]
    for path in shown:
        assert path.is_file(), path
    assert {*RESULTS.glob("*.png")} <= {*shown}


def test_every_file_named_exists():
    named = re.findall(r"`((?:jaxdiff|tests|configs|launch|\.ci)/[^`\s]*)`", PROSE)
    named += re.findall(r"[^!]\[[^]]*\]\((\w[^):#]*)[^):]*\)", PROSE)
    assert len(named) > 20
    for path in named:
        assert "NAME" in path or (ROOT / path).exists(), path


def commands() -> list[list[str]]:
    """The words of every command: of lines in bash, and of code within the prose."""
    lines = []
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT + GALLERY, re.M | re.S)
    for language, block in blocks:
        if language == "bash":
            joined = block.replace("\\\n", " ")
            lines += [part for x in joined.splitlines() for part in x.split("&&")]
    spans = r"`((?:python -m )?launch\.\w+[^`]*|python \.ci/[^`]*)`"
    prose = re.sub(r"^```.*?^```\n", "", GALLERY, flags=re.M | re.S)
    lines += re.findall(spans, PROSE + prose)
    words = [shlex.split(line, comments=True) for line in lines]
    return [w for w in map(launcher_first, words) if w]


def launcher_first(words: list[str]) -> list[str]:
    for i, word in enumerate(words):
        if word.startswith("launch.") or word.endswith("gallery.py"):
            return words[i:]
    return []


@cache
def flags_of(launcher: str) -> set[str]:
    """The names that a program's file, and what launchers share, define."""
    paths = [ROOT / launcher]
    if launcher.startswith("launch."):
        paths = [ROOT / "launch" / f"{launcher.partition('.')[2]}.py"]
        paths += [ROOT / "launch" / f"{shared}.py" for shared in ("cli", "pages")]
    names = set()
    for path in paths:
        assert path.is_file(), f"no launcher {launcher}"
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and node.args):
                continue
            called, first = ast.unparse(node.func), node.args[0]
            defines = "DEFINE_" in called or called.endswith(("add", "add_argument"))
            if defines and isinstance(first, ast.Constant):
                names.add(str(first.value).removeprefix("--"))
    return names


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_can_be_given(words):
    launcher, *rest = words
    schema = base.get_config()
    for word in rest:
        name, _, value = word.removeprefix("--").partition("=")
        if not word.startswith("--"):
            continue
        if not name.startswith("config."):
            assert name in flags_of(launcher), f"{launcher} has no --{name}"
        else:
            config = schema
            for part in name.split(".")[1:]:
                assert part in config, f"the schema has no {name}"
                config = config[part]
        if name == "config":
            assert (ROOT / value.partition(":")[0]).is_file(), value
    if launcher in KINDS and rest:
        assert rest[0] in KINDS[launcher], f"{launcher} has no {rest[0]!r}"


def test_every_item_of_the_articles_is_done_or_has_a_reason():
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", ARTICLES, re.M)
    assert [int(number) for number, _ in rows] == [*range(1, 57)]
    for _, row in rows:
        item, where, state = row.split(" | ")
        done = re.match(r"done|(in part|no|not drawn): \w", state)
        assert item and done and (where != "\u2013" or state.startswith("no:")), row
    for path in re.findall(r"\[[^]]*\]\(([\w./]+)\)", ARTICLES):
        assert (RESULTS / path).is_file(), path


def test_every_launcher_is_listed():
    files = (ROOT / "launch").glob("*.py")
    there = {p.stem for p in files if "__main__" in p.read_text()}
    assert len(there) > 5
    assert {row[0] for row in table("`python -m …`")} == {
        f"`launch.{x}`" for x in there
    }


def test_every_config_is_listed():
    rows = table("config")
    assert {name for row in rows for name in re.findall(r"`(\w+)\.py`", row[0])} == (
        CONFIGS
    )
    for name in re.findall(r"`(?:configs/)?(\w+)\.py`", PROSE):
        there = CONFIGS | {p.stem for p in ROOT.rglob("*.py")}
        assert name in there, name


def test_fields_and_settings_that_prose_names_are_in_the_schema():
    schema = base.get_config()
    named = re.findall(
        r"`(?:--config\.)?((?:train|sampler|data|model)\.(?!json)\w+)", PROSE
    )
    assert len(named) > 5
    for name in named:
        block, field = name.split(".")
        assert field in schema[block], name


def table(first: str) -> list[list[str]]:
    """The rows of the table whose first column has that heading."""
    lines = TEXT.splitlines()
    start = next(i for i, x in enumerate(lines) if x.startswith(f"| {first} |")) + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def test_solvers_grids_and_rules_are_those_there_are():
    rows = {
        re.findall(r"`(\w+)`", row[0])[0]: row[1]
        for row in table("`--config.sampler.…`, whenever a run is sampled")
    }

    def names(text):
        return re.findall(r"`(\w+)(?:\([^`]*\))?`", text)

    orders = {}
    for part in rows["solver"].split("; "):
        order, _, text = part.partition(": ")
        orders |= {n: int(order) if order.isdigit() else None for n in names(text)}
    solvers = choices.members(jaxdiff.diffusion.solvers)
    cure = "name it in the table under Sampling of README.md"
    assert orders == {
        n: importlib.import_module(f"jaxdiff.diffusion.solvers.{n}").ORDER
        for n in solvers
    }, cure
    assert sorted(names(rows["grid"])) == sorted(grids.__all__), cure
    assert sorted(names(rows["rule"].split(";")[0])) == sorted(rules.__all__), cure


def test_the_core_is_an_afternoons_reading():
    """The lines of the files listed add up to the README's number."""
    paths = [p for row in table("file to read") for p in re.findall(r"`(.+?)`", row[0])]
    lines = sum(len((ROOT / path).read_text().splitlines()) for path in paths)
    stated = re.search(r"([\d,]+) lines in (\d+) files", TEXT)
    assert stated and len(paths) == len({*paths}) == int(stated[2])
    assert abs(lines - int(stated[1].replace(",", ""))) <= 50, lines
    assert 15 <= len(paths) <= 25 and lines <= 2700
