"""Somebody's own network, source, solver and loss by dotted name; on trust alone."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jaxdiff
from jaxdiff import build, choices, schema, trust
from jaxdiff.diffusion import grids, solvers
from jaxdiff.runs import workdir as files
from tests.runs.conftest import tiny_config, untrained
from tests.slow import slow_but

PARTS = "tests.foreign_parts"
RUN = {
    "data.name": f"{PARTS}.source(num=24)",
    "model.name": f"{PARTS}.linen",
    "diffusion.distance": f"{PARTS}.distance",
    "sampler.solver": f"{PARTS}.solver(share=0.5)",
    "train.batch_size": 8,
    "train.num_steps": 4,
    "train.log_every": 2,
    "train.checkpoint_every": 4,
    "train.num_preview": 4,
    "sampler.num_steps": 3,
}
PLAIN = "schedule", "prediction", "solver", "rule"
NETWORKS = {"linen": "linen", "nnx": "module(width=4)", "equinox": "equinox"}


@pytest.mark.parametrize("name", slow_but(("nnx",), NETWORKS))
def test_a_run_of_somebodys_own_parts(name, tmp_path):
    """It trains, resumes, and is opened and sampled on trust alone."""
    if name == "equinox":
        pytest.importorskip("equinox")
    config = {**RUN, "model.name": f"{PARTS}.{NETWORKS[name]}"}
    model = jaxdiff.fit(config, workdir=tmp_path / "run")
    longer = jaxdiff.fit({**config, "train.num_steps": 6}, workdir=tmp_path / "run")
    assert (model.run.step, longer.run.step) == (4, 6)
    assert model.columns == ("u", "v") and len(model.run.source) == 24
    with pytest.raises(ValueError, match=r"names code outside jaxdiff: .*data\.name"):
        jaxdiff.load(tmp_path / "run")
    opened = jaxdiff.load(tmp_path / "run", trust=True)
    a, b = opened.sample(4, seed=1), longer.sample(4, seed=1)
    np.testing.assert_array_equal(a.x, b.x)
    assert np.isfinite(a.x).all()
    half = opened.sample(4, seed=1, solver=f"{PARTS}.solver(share=0.25)")
    whole = opened.sample(4, seed=1, solver=f"{PARTS}.solver")
    assert not np.allclose(half.x, whole.x)
    # at the last step, to t = 0, x is the share of the estimate
    one = [opened.sample(4, steps=1, solver=f"{PARTS}.solver(share={s})") for s in "12"]
    np.testing.assert_allclose(one[1].x, 2 * one[0].x, rtol=1e-5)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"model.name": "odd(kind='one')"}, r"odd gives f32\[2, 1\], .*f32\[2, 2\]"),
        (
            {"model.name": "odd(kind='more')"},
            r"the network of model.name=.*odd gives f32\[2, 3\]",
        ),
        (
            {"model.name": "odd(kind='pair')"},
            "odd (gives tuple|does not fit: TypeCheck)",
        ),
        (
            {"model.name": "odd(kind='none')"},
            "odd (gives NoneType|does not fit: TypeCheck)",
        ),
        (
            {"model.name": "odd(kind='trainless')"},
            "model.name=.*odd does not fit: TypeError: .*'train'",
        ),
        (
            {"diffusion.distance": "mean_distance"},
            r"diffusion.distance=.*mean_distance gives f32\[\]",
        ),
    ],
)
def test_a_part_that_does_not_fit_is_named_before_anything_is_written(
    changed, words, tmp_path
):
    given = {field: f"{PARTS}.{name}" for field, name in changed.items()}
    with pytest.raises(ValueError, match=words) as error:
        jaxdiff.fit({**RUN, **given}, workdir=tmp_path / "run")
    text = str(error.value)
    assert "\n" not in text and all(choices.name_of(v) in text for v in given.values())
    assert not (tmp_path / "run").exists()


def test_parts_of_plain_functions_are_sampled(tmp_path):
    """A schedule, a prediction, a solver and a rule, none of them a Partial."""
    plain = {
        **{f"diffusion.{name}": f"{PARTS}.plain_{name}" for name in PLAIN[:2]},
        **{f"sampler.{name}": f"{PARTS}.plain_{name}" for name in PLAIN[2:]},
        "data.name": "synthetic",
        "data.shape": (2,),
        "model.name": "mlp",
        "model.hidden": 8,
        "sampler.guidance": 2.0,
    }
    model = jaxdiff.fit({**RUN, **plain}, workdir=tmp_path / "run")
    like = model.sample(4, solver="ddim", rule="linear", grid="karras").x
    np.testing.assert_allclose(model.sample(4).x, like, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("field", ["data.name", "model.name"])
def test_an_argument_without_a_value_is_named(field, tmp_path):
    name = f"{PARTS}.needs_width"
    with pytest.raises(ValueError, match=r"needs_width' lacks width: write .*\(width="):
        jaxdiff.fit({**RUN, field: name}, workdir=tmp_path / "run")


def config_of(**values):
    config = schema.get_config()
    config.update_from_flattened_dict(
        {k.replace("__", "."): v for k, v in values.items()}
    )
    return config


def test_the_grid_that_a_solver_states_is_taken():
    config = config_of(sampler__solver=f"{PARTS}.solver", sampler__num_steps=5)
    schedule = build.make_schedule(config)
    expected = grids.karras(schedule, 5)
    np.testing.assert_array_equal(build.make_grid(config, schedule), expected)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nopackage.solver", "no module 'nopackage' here; install the package, or st"),
        (f"{PARTS}.sollver", "foreign_parts has no 'sollver'; did you mean 'solver'"),
        (f"{PARTS}.GRIT.x", "tests.foreign_parts has no 'GRIT'; did you mean 'GRID'"),
        ("tests.foreign_part.x", "tests has no 'foreign_part'"),
        ("jaxdiff.diffusion.levels", "is a module without a function `make`"),
        ("math.pi", "is no function"),
        (f"{PARTS}.solver(shares=1.0)", "no field 'shares'; did you mean 'share'"),
        (f"{PARTS}.solver(share='a')", "must be of type float"),
        (f"{PARTS}.solver.", "is not 'name' or"),
    ],
)
def test_mistakes_in_a_dotted_name(name, words):
    with pytest.raises(ValueError, match=words):
        choices.choose(solvers, name)


def test_a_maker_of_other_arguments_is_named():
    made = choices.choose(solvers, f"{PARTS}.plain_schedule")
    with pytest.raises(ValueError, match=r"plain_schedule' must take 1 argument"):
        made("schedule")


def test_a_module_with_a_make_is_a_choice_too():
    maker = choices.pick(solvers, "jaxdiff.diffusion.solvers.ddim")
    assert maker is choices.pick(solvers, "ddim")


@pytest.mark.parametrize(
    "text",
    [
        *("a.b", "a.b.c(x=1)", " a.b", "a . b", "(a.b)", "(a).b", "(a.b)(x=1)"),
        *("a.import.b", "a.b(", "\uff41.b", "a.b\n", "((a.b))"),
    ],
)
@pytest.mark.parametrize("field", ["model.name", "sampler.solver", "task", "train.lr"])
def test_whatever_would_be_imported_is_noticed(text, field, monkeypatch):
    """No text reaches an import that the check takes for a plain name."""
    imported = []
    monkeypatch.setattr(choices, "_imported", lambda name: imported.append(name) or len)
    config = config_of(**{field: text})
    for read in (
        lambda: choices.pick(solvers, text),
        lambda: choices.choose(solvers, text),
        lambda: choices.from_block(solvers, {"name": text}),
        lambda: choices.fields_of(solvers, text, float),
    ):
        try:
            read()
        except (ValueError, TypeError):
            continue
    assert not imported or trust.foreign(config)


def test_every_text_that_names_no_file_is_looked_through():
    texts = {k for k, v in schema.flat(schema.FIELDS).items() if isinstance(v, str)}
    assert {*trust.TEXTS} <= texts
    config = schema.get_config()
    config.update_from_flattened_dict(dict.fromkeys(texts, "a.b"))
    assert {*trust.foreign(config)} == texts - {*trust.TEXTS}


def test_what_a_run_names_is_not_trusted_by_itself(tmp_path):
    """A run that a run names: its code is imported only with the same word."""
    rows = {"data__shape": (2,), "data__num_classes": 0}
    untrained(tiny_config(**rows), tmp_path / "weak")
    untrained(tiny_config(**rows), tmp_path / "run")
    path = tmp_path / "weak" / "config.json"
    stored = json.loads(path.read_text())
    stored["diffusion"]["distance"] = f"{PARTS}.distance"
    path.write_text(json.dumps(stored))
    weak = {"weak": str(tmp_path / "weak"), "steps": 2}
    with pytest.raises(ValueError, match=r"weak/config.json names code .*--trust"):
        jaxdiff.load(tmp_path / "run").sample(2, **weak)
    samples = jaxdiff.load(tmp_path / "run", trust=True).sample(2, **weak)
    assert np.isfinite(samples.x).all()


OPEN = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
import jaxdiff
from jaxdiff import schema
from jaxdiff.runs import workdir

config, folder = schema.get_config(), Path("run")
for read in (
    lambda: jaxdiff.load("run"),
    lambda: workdir.check_same(folder, config),
    lambda: workdir.recall(folder, config),
    lambda: workdir.check_unchanged(folder, config),
):
    try:
        read()
    except ValueError as error:
        print(error)
"""


def test_opening_a_workdir_imports_nothing_of_its_choice(tmp_path):
    """In a new process, whose folder has the module that a stranger's config names."""
    untrained(tiny_config(), tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    stored = json.loads(path.read_text())
    stored["model"]["name"] = "evil.make"
    path.write_text(json.dumps(stored))
    (tmp_path / "evil.py").write_text("print('IT RAN')\ndef make(): ...\n")
    code = OPEN.format(root=str(Path(__file__).parents[1]))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 4 and "IT RAN" not in done.stdout
    words = "names code outside jaxdiff: evil.make (model.name)"
    assert all(words in line for line in lines)


def test_code_that_is_imported_is_noted(tmp_path, capsys):
    untrained(tiny_config(), tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    stored = json.loads(path.read_text())
    stored["diffusion"]["distance"] = f"{PARTS}.distance"
    path.write_text(json.dumps(stored))
    config = files.load_config(tmp_path / "run", trust=True)
    note = f"note: {path}: code outside jaxdiff runs: {PARTS}.distance"
    assert note in capsys.readouterr().err
    # what somebody gives is trusted where a stored config is compared with it
    assert files.recall(tmp_path / "run", config) == config
