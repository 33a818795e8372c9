"""The package from outside: its public face, its wheel, and what it depends on."""

import ast
import fnmatch
import json
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import jaxdiff
from jaxdiff.runs.bench import iris

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
STUB = ast.parse((ROOT / "jaxdiff" / "__init__.pyi").read_text())
PUBLIC = [
    (node.module, alias.name)
    for node in STUB.body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
]


def loaded_by(code: str) -> set[str]:
    """The modules in a new process after `code`, jaxdiff's and the top ones."""
    code += "\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    names = json.loads(done.stdout)
    return {n for n in names if "." not in n or n.startswith("jaxdiff.")}


def test_importing_the_package_imports_nothing_else():
    loaded = loaded_by("import jaxdiff\ndir(jaxdiff)\njaxdiff.__version__")
    assert {n for n in loaded if n.startswith("jaxdiff")} == {"jaxdiff"}
    assert not loaded & {"jax", "numpy", "flax", "optax", "orbax"}


def test_the_mathematics_needs_no_network_library_and_no_data_set():
    loaded = loaded_by(
        "import jaxdiff\n"
        "solver = jaxdiff.solvers.heun.make(jaxdiff.schedules.cosine())\n"
        "jaxdiff.sample, jaxdiff.denoising_loss, jaxdiff.guidance.cfg"
    )
    assert {"jax", "jaxdiff.diffusion.solvers.heun"} <= loaded
    ours = {n for n in loaded if n.startswith("jaxdiff.")}
    allowed = ("jaxdiff.diffusion", "jaxdiff.arrays", "jaxdiff.rng")
    assert all(n.startswith(allowed) for n in ours), ours
    # neither what other floors need, nor a solver that was not used
    others = {"flax", "optax", "orbax", "tensorflow_datasets", "grain", "sklearn"}
    assert not loaded & {*others, "matplotlib", "ml_collections"}
    assert "jaxdiff.diffusion.solvers.unipc" not in loaded


def test_runs_are_imported_only_for_load_and_fit():
    """These two names are the door to the rest; whoever leaves them alone stays with
    jax, as the tests above have it.
    """
    loaded = loaded_by("import jaxdiff\njaxdiff.load, jaxdiff.fit")
    assert {"jaxdiff.runs.experiment", "jaxdiff.runs.train.loop", "flax"} <= loaded
    # of extras, and what no run needs at once
    assert not loaded & {"diffrax", "datasets", "tensorflow"}


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_a_public_name_is_what_the_stub_imports(module, name):
    home = import_module(module)
    if name not in vars(home):
        assert getattr(jaxdiff, name) is import_module(f"{module}.{name}")
    else:
        assert getattr(jaxdiff, name) is vars(home)[name]
    assert name in dir(jaxdiff)


def test_every_module_of_the_mathematics_is_public():
    names = {n for module, n in PUBLIC if module == "jaxdiff.diffusion"}
    there = {p.stem for p in (ROOT / "jaxdiff" / "diffusion").iterdir()}
    assert names == there - {"__init__", "__pycache__"}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'jaxdiff' has no attribute 'shedules'"):
        _ = jaxdiff.shedules
    with pytest.raises(AttributeError, match=r"solvers' has no attribute 'hein'"):
        _ = jaxdiff.solvers.hein


def test_a_name_whose_extra_is_not_installed_is_an_attribute_error(monkeypatch):
    """So that hasattr, help and tab completion work on all names."""
    monkeypatch.setitem(sys.modules, "diffrax", None)
    monkeypatch.delitem(sys.modules, "jaxdiff.diffusion.density", raising=False)
    monkeypatch.delattr(import_module("jaxdiff.diffusion"), "density", raising=False)
    with pytest.raises(AttributeError, match="density needs diffrax"):
        _ = jaxdiff.density


# Modules that need an extra. They are imported where it is used.
NEED_EXTRAS = {"jaxdiff.diffusion.density", "jaxdiff.runs.serve.app"}


def test_every_other_module_is_imported_without_an_extra():
    """As after `pip install -e .`, where launchers import most rooms."""
    project = PROJECT["project"]
    extras = {d for names in project["optional-dependencies"].values() for d in names}
    known = {canonical(d) for d in project["dependencies"]} | {"jaxdiff"}
    missing = {canonical(d) for d in extras} - known | {"equinox"}
    missing = sorted(name.replace("-", "_") for name in missing)
    modules = sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for top in ("jaxdiff", "launch")
        for path in (ROOT / top).rglob("*.py")
        if path.stem != "__init__"
    )
    code = f"""
import sys
from importlib import import_module
sys.modules.update(dict.fromkeys({missing}))
from absl import flags
failed = []
for name in {modules}:
    for flag in list(flags.FLAGS) if name.startswith("launch.") else ():
        delattr(flags.FLAGS, flag)  # each launcher is the first
    try:
        import_module(name)
    except ImportError:
        failed.append(name)
assert sorted(failed) == {sorted(NEED_EXTRAS)}, failed
"""
    loaded_by(code)


def test_the_version_has_one_home():
    assert re.fullmatch(r"\d+\.\d+\.\d+", jaxdiff.__version__)
    assert "version" in PROJECT["project"]["dynamic"]
    dynamic = PROJECT["tool"]["setuptools"]["dynamic"]
    assert dynamic["version"] == {"attr": "jaxdiff.__version__"}


def test_the_wheel_holds_the_library_alone():
    setuptools = PROJECT["tool"]["setuptools"]
    include = setuptools["packages"]["find"]["include"]
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in ROOT.glob("[!.]*/**/*.py")
    }
    packed = {f for f in folders if any(fnmatch.fnmatch(f, i) for i in include)}
    assert packed == {f for f in folders if f.split(".")[0] == "jaxdiff"}
    assert {"jaxdiff.runs.train", "configs", "launch"} <= folders
    for package in packed:
        assert (ROOT.joinpath(*package.split(".")) / "__init__.py").exists(), package
    for name in setuptools["package-data"]["jaxdiff"]:
        assert (ROOT / "jaxdiff" / name).exists()
    home = ROOT / "jaxdiff"
    others = [p for p in home.rglob("*") if p.suffix not in (".py", ".pyc", "")]
    packed = {*setuptools["package-data"]["jaxdiff"]}
    assert {p.relative_to(home).as_posix() for p in others} == packed


def imported(*folders: str) -> set[str]:
    """The distributions whose packages the files of folders import."""
    owners, tops = packages_distributions(), set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            if path.name.startswith("make_"):  # run by hand, where others' code is
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    tops |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    tops.add(node.module.split(".")[0])
    tops -= {*sys.stdlib_module_names, "jaxdiff", "configs", "launch", "tests"}
    tops -= {
        "torch",
        "diffusers",
        "keras",
        "protocol",
    }  # of peers, which run where these are
    return {canonical(owners[top][0]) for top in tops}


def canonical(name: str) -> str:
    """The distribution of "scikit_learn>=1.5", as packaging compares them."""
    bare = re.split(r"[\[<>=!~; ]", name)[0]
    return re.sub(r"[-_.]+", "-", bare).lower()


def test_dependencies_are_what_is_imported():
    project = PROJECT["project"]
    needed = {canonical(d) for d in project["dependencies"]}
    extras = {
        extra: {canonical(d) for d in names} - {"jaxdiff"}
        for extra, names in project["optional-dependencies"].items()
    }
    optional = extras["inception"] | extras["likelihood"] | extras["serve"]
    assert imported("jaxdiff", "launch", "configs", ".ci") == (
        # tensorflow-datasets reads ArrayRecord through it; chex is the tests'
        needed - {"array-record", "chex"} | optional
    )
    # equinox comes with diffrax
    tests = imported("tests") - {"equinox"}
    assert tests <= needed | optional | extras["test"]


PEERS = sorted((ROOT / "tests" / "peers").glob("*.py"))


@pytest.mark.parametrize("path", PEERS, ids=[p.stem for p in PEERS])
def test_a_peer_is_a_program_of_its_own_that_prints_json(path):
    text = path.read_text()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        else:
            continue
        assert not {n.split(".")[0] for n in names} & {"jaxdiff", "configs", "launch"}
    prints = "print(json.dumps(" in text and "__main__" in text
    assert prints or "serve(make)" in text  # which prints it, in protocol.py


def test_the_bench_of_iris_measures_against_a_peer():
    assert iris.PROGRAM in PEERS
