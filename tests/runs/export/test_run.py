"""A sampler as one file: it gives what launch.sample gives, of every kind of run."""

import json
import subprocess
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest
from jax import export as jax_export

from jaxdiff import arrays
from jaxdiff.files import read_arrays, write_arrays
from jaxdiff.runs.export import run as export
from tests.devices import see_one_device
from tests.runs.conftest import CLASSIFIER, SPECK, tiny_config, untrained
from tests.runs.test_cascade_run import config_of, upsampler
from tests.runs.test_latents_run import codes_config, encoder_config
from tests.slow import slow_but
from tests.test_readme import PYTHON

ALL = ("cpu", "cuda", "tpu")
# The README's lines.
(LINES,) = (code for code in PYTHON if "export.deserialize" in code)


def guided(folder):
    solver = "ddim(eta=.5)"
    config = tiny_config(**SPECK, sampler__guidance=2.0, sampler__solver=solver)
    return untrained(config, folder / "run")


def table(folder):
    config = tiny_config(data__name="iris", diffusion__condition="none")
    return untrained(config, folder / "run")


def latent(folder):
    untrained(encoder_config(), folder / "coder")
    return untrained(codes_config(folder / "coder"), folder / "run")


def cascade(folder):
    base = untrained(config_of(4), folder / "base")
    return untrained(upsampler(base.workdir), folder / "run")


def classifier(folder):
    """A model without classes, and the classifier that guides it."""
    guide = untrained(tiny_config(**CLASSIFIER), folder / "guide")
    fields = {"sampler__classifier": str(guide.workdir), "diffusion__condition": "none"}
    return untrained(tiny_config(**SPECK, **fields), folder / "run")


def weak(folder):
    """Autoguidance, a solver with a memory, and standardised pixels."""
    config = tiny_config(**SPECK, data__standardise=True)
    other = untrained(config, folder / "weak")
    config.sampler.update({"weak": str(other.workdir), "solver": "dpmpp_2m"})
    return untrained(config, folder / "run")


KINDS = [guided, table, latent, cascade, classifier, weak]


def write(run, out, platforms=("cpu",), **how):
    export.run(export.prepare(run, out=out, platforms=platforms, **how))
    return out


def read(path):
    """What the file states, and (inputs by name) -> outputs."""
    with np.load(path) as file:
        about, code = json.loads(file["about"].item()), bytearray(file["program"])
        weights = [file[f"weight{i}"] for i in range(about["weights"])]
    program = jax_export.deserialize(code)

    def call(**given):
        inputs = {
            name: np.asarray(given.get(name, at["default"]), at["dtype"])
            for name, at in about["inputs"].items()
        }
        return jax.tree.map(np.asarray, program.call(weights, inputs))

    return about, call


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
    see_one_device(monkeypatch)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """(run, its file for all platforms), guided and with classes."""
    folder = tmp_path_factory.mktemp("digits")
    run = guided(folder)
    return run, write(run, folder / "digits.jaxdiff", ALL)


def assert_same(out, x, source, columns):
    """The outputs of a file, and samples in model units, of the size of 1; those of a
    random network that is guided by a classifier reach 32.
    """
    np.testing.assert_allclose(out["x"], x, atol=1e-5 * max(1.0, np.abs(x).max()))
    values = source.decode(x)
    if not source.layout:
        pixels = np.rint(values * (255 / source.peak))
        assert out["images"].dtype == np.uint8 and out["images"].shape == pixels.shape
        levels = np.abs(out["images"] - pixels)
        assert (levels == 0).mean() >= 0.999 and levels.max() <= 1
        return
    assert [*columns] == [*values]  # in the table's order
    for name, categories in columns.items():
        row = out["rows"][name]
        row = np.array(categories)[row] if categories else row
        np.testing.assert_array_equal(row, values[name])
        assert row.dtype == values[name].dtype


@pytest.mark.parametrize("kind", slow_but(KINDS[:4], KINDS))
def test_a_file_gives_what_is_sampled(kind, tmp_path):
    run = kind(tmp_path)
    about, call = read(write(run, tmp_path / "out" / "x.jaxdiff"))
    index, classes = np.array([3, 41, 2**31 - 1]), run.num_classes
    label = (index % classes).astype(np.int32) if classes else None
    x = run.sampler().draw(run.params, 2**32 - 5, index, label)
    given = {"label": label} if classes else {}
    out = call(seed=2**32 - 5, index=index, **given)
    assert_same(out, x, run.source, about["columns"])
    assert about["class_names"] == [*(run.source.class_names if classes else ())]
    assert {"index", "seed", "times", *given} <= {*about["inputs"]}


def test_a_sample_depends_on_its_seed_and_index_alone(digits):
    """Law 1, also in batches of other sizes from one file."""
    _, call = read(digits[1])
    index = np.arange(64)
    whole = call(seed=5, index=index, label=index % 3)
    for part in (index[:1], index[20:27]):
        out = call(seed=5, index=part, label=part % 3)
        np.testing.assert_allclose(out["x"], whole["x"][part], atol=1e-5)
        np.testing.assert_array_equal(out["images"], whole["images"][part])
    other = call(seed=6, index=index[:7], label=index[:7] % 3)
    assert np.abs(other["x"] - whole["x"][:7]).max() > 0.1


def test_numbers_and_times_are_inputs(digits):
    """Other values give what a sampler with these fields gives."""
    run, path = digits
    about, call = read(path)
    assert {*about["inputs"]} == (
        {"seed", "index", "label", "times", "guidance", "eta"}
    )
    assert about["inputs"]["eta"]["default"] == 0.5
    assert [*about["grids"]] == ["5", "10", "20", "50", "100"]
    fields = {"guidance": 3.5, "solver": "ddim(eta=1)", "num_steps": 5}
    other, index = run.with_sampler(**fields), np.arange(4)
    x = other.sampler().draw(run.params, 0, index, np.full(4, 2, np.int32))
    numbers = {"guidance": 3.5, "eta": 1.0, "times": about["grids"]["5"]}
    out = call(index=index, label=[2] * 4, **numbers)
    np.testing.assert_allclose(out["x"], x, atol=1e-5)


def test_a_number_that_makes_another_program_is_no_input(tmp_path):
    """At guidance 1 nothing is evaluated twice; at quantile 0 nothing is sorted."""
    run = untrained(tiny_config(**SPECK, sampler__grid="karras"), tmp_path / "run")
    request = export.prepare(run, out=tmp_path / "x", platforms=["cpu"])
    assert {*request.numbers} == {"eta"}  # and rho is one of the grid
    request = export.prepare(
        run.with_sampler(guidance=0.5, clip=True, quantile=0.9),
        out=tmp_path / "x",
        platforms=ALL,
    )
    assert {*request.numbers} == {"guidance", "quantile", "eta"}
    for fields in ({"rule": "rescaled"}, {"interval": (0.2, 3.0)}):
        other = run.with_sampler(guidance=2.0, **fields)
        request = export.prepare(other, out=tmp_path / "x", platforms=ALL)
        assert "guidance" not in request.numbers


# -- where jaxdiff is not

# All else that jaxdiff needs, and JAX does not.
BLOCKED = (
    *("jaxdiff", "flax", "optax", "orbax", "ml_collections", "tqdm", "matplotlib"),
    *("PIL", "sklearn", "jaxtyping", "absl"),
)


def run_lines(path):
    """The README's lines on a file, in a process that can import JAX alone."""
    code = LINES.replace('"digits.jaxdiff"', repr(str(path))).replace("[7]", "[2]")
    assert repr(str(path)) in code and "[2]" in code
    end = (
        f"\nassert not {{*{BLOCKED}}} & {{k for k, v in sys.modules.items() if v}}\n"
        "print(json.dumps({k: [v.shape, str(v.dtype)] for k, v in out.items()}))\n"
        f"np.save({str(path)!r} + '.npy', out['images'])\n"
    )
    blocked = f"import sys\nsys.modules.update(dict.fromkeys({BLOCKED}))\n"
    return subprocess.run(
        [sys.executable, "-I", "-c", blocked + code + end],
        cwd="/",
        capture_output=True,
        text=True,
    )


def test_the_readmes_lines_run_it_without_jaxdiff(digits):
    run, path = digits
    assert len([line for line in LINES.splitlines() if line]) <= 12
    assert all(len(line) <= 88 for line in LINES.splitlines())
    done = run_lines(path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "images": [[16, 8, 8, 1], "uint8"],
        "x": [[16, 8, 8, 1], "float32"],
    }
    index = np.arange(16)
    x = run.sampler().draw(run.params, 0, index, np.full(16, 2, np.int32))
    same = run.pixels(x) == np.load(f"{path}.npy")
    assert same.mean() >= 0.999


def of_another_jax(path):
    """A calling convention that no JAX has yet."""
    arrays = read_arrays(path)
    about = json.loads(arrays["about"].item())
    about |= {"jax": "9.9.9", "convention": about["convention"] + 1}
    return arrays | {"about": np.array(json.dumps(about).encode())}


def test_a_file_that_cannot_run_gives_one_line(digits, tmp_path):
    run, path = digits
    later, cut = tmp_path / "later.jaxdiff", tmp_path / "cut.jaxdiff"
    write_arrays(later, of_another_jax(path))
    cut.write_bytes(path.read_bytes()[:-100])
    tpu = write(run, tmp_path / "tpu.jaxdiff", ["tpu"])
    for file, words in {
        tpu: "was exported for platforms '('tpu',)' but it is used on '('cpu',)'",
        later: f"of JAX 9.9.9, in JAX {jax.__version__}: AssertionError",
        cut: "BadZipFile",
        tmp_path / "none.jaxdiff": "FileNotFoundError",
    }.items():
        done = run_lines(file)
        assert done.returncode == 1 and done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert str(file) in line and words in line


# -- requests


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"platforms": ["mars"]}, "--platforms must be different ones of cpu, cuda"),
        ({"platforms": ["cpu", "cpu"]}, "--platforms must be different"),
        ({"platforms": []}, "--platforms must be different"),
        ({"out": "folder"}, "is a folder; give the name of a file"),
        ({"out": "file"}, "exists; choose another name, or --force"),
        ({"out": "file/new"}, "is in .*file, which is a file"),
    ],
)
def test_what_cannot_be_written_is_refused(how, words, digits, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    how = {"platforms": ["cpu"], **how, "out": tmp_path / how.get("out", "new")}
    with pytest.raises(ValueError, match=words):
        export.prepare(digits[0], **how)
    assert (tmp_path / "file").read_text() == "kept"


def test_what_cannot_be_exported_is_refused(digits, tmp_path, monkeypatch):
    run, how = digits[0], {"out": tmp_path / "new", "platforms": ["cpu"]}
    source = replace(run.source, decode=lambda x: x)
    given = replace(run, data=source)
    vars(given).update({"source": source, "_averages": run._averages})
    with pytest.raises(ValueError, match="decoded by a function from Python"):
        export.prepare(given, **how)
    unused = run.with_sampler(resample=2)
    with pytest.raises(ValueError, match="counts only with"):
        export.prepare(unused, **how)
    monkeypatch.setattr(arrays, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'jaxdiff\[export\]'"):
        export.prepare(run, **how)
