"""Data that change between training, resuming and sampling; runs without their data."""

import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image

from jaxdiff.data import record, synthetic, table
from jaxdiff.runs.experiment import Experiment, open_run
from jaxdiff.runs.sample import run as sample
from jaxdiff.runs.train import loop, setup
from tests.runs.conftest import CLASSIFIER, tiny_config, untrained
from tests.runs.test_latents_run import codes_config, encoder_config

ROWS = [[k, 20 + k / 10, "rb"[k % 2]] for k in range(24)]


def write_table(path, header="abc", rows=ROWS, factor=1, shift=0):
    changed = [[v * factor + shift if v in (r[0],) else v for v in r] for r in rows]
    lines = [",".join(map(str, row)) for row in (header, *changed)]
    path.write_text("\n".join(lines) + "\n")


def draw(path, seed, side=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side))
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def write_pictures(path, side=8, names=("cat", "dog")):
    for k in range(6):
        draw(path / names[k % 2] / f"{k}.png", k, side)


def rename_class(path):
    (path / "cat").rename(path / "lynx")


# A change of a table -> what is noted; "" where nothing is to be.
VALUES = {
    "scaled": (partial(write_table, factor=100), "'a' had mean 11.5, has 1150"),
    "shifted": (partial(write_table, shift=7), "'a' had mean 11.5, has 18.5"),
    "rows in another order": (partial(write_table, rows=ROWS[::-1]), "another order"),
    "rows added": (
        partial(write_table, rows=[*ROWS, [3, 21, "r"]]),
        "24 rows then, 25 now",
    ),
    "columns in another order": (
        partial(write_table, header="bca", rows=[[*r[1:], r[0]] for r in ROWS]),
        "",
    ),
}
# A change of a table, or of class folders -> why it does not fit.
COLUMNS = {
    "a column renamed": (partial(write_table, header="adc"), "no column 'b'"),
    "a new category": (
        partial(write_table, rows=[*ROWS, [3, 21, "g"]]),
        "'c' has the new category 'g'",
    ),
    "text for numbers": (
        partial(
            write_table, rows=[[k, ("low", "high")[k % 3 == 0], c] for k, _, c in ROWS]
        ),
        "column 'b'",
    ),
}
CLASSES = {
    "a class renamed": (rename_class, "no class 'cat'; a new class 'lynx'"),
    "a class added": (
        lambda p: draw(p / "eel" / "1.png", 9),
        "a new class 'eel'; 3 classes, were 2",
    ),
    "another size": (partial(write_pictures, side=4), r"shape \(4, 4, 1\), was"),
}
IMAGES = {
    "an image replaced": (lambda p: draw(p / "cat" / "0.png", 9), "has changed"),
    "an image added": (lambda p: draw(p / "cat" / "9.png", 9), "6 rows then, 7 now"),
}


def table_config(path, **fields):
    return tiny_config(data__name="table", data__path=str(path), **fields)


def folder_config(path, **fields):
    given = {"data__name": "folder", "data__path": str(path), "data__channels": 1}
    return tiny_config(
        **given, data__shape=(8, 8, 1), **{"model__name": "speck", **fields}
    )


def run_of(kind, tmp_path):
    """(path of the data, config) of an untrained run in tmp_path / "run"."""
    path = tmp_path / "data"
    write = write_table if kind == "table" else write_pictures
    write(path)
    config = (table_config if kind == "table" else folder_config)(path)
    untrained(Experiment(config).measured().config, tmp_path / "run")
    return path, config


def decoded(run):
    x = np.linspace(-1, 1, 3 * np.prod(run.source.shape), dtype=np.float32)
    values = run.source.decode(x.reshape(3, *run.source.shape))
    return values if isinstance(values, dict) else {"pixels": values}


def same(a, b):
    return {*a} == {*b} and all(np.array_equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize(
    ("kind", "change"),
    [("table", c) for c in VALUES] + [("folder", c) for c in IMAGES],
)
def test_other_values_keep_the_units_of_the_run(kind, change, tmp_path, capsys):
    path, config = run_of(kind, tmp_path)
    folder, (alter, words) = tmp_path / "run", (VALUES | IMAGES)[change]
    before = decoded(open_run(folder))
    setup.prepare(config, folder)
    assert capsys.readouterr().err == ""
    alter(path)
    run = setup.prepare(config, folder)
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == bool(words) and words in "".join(notes)
    source = run.experiment.source
    assert same(decoded(run.experiment), before)
    if kind == "table":  # what is read is what stands in the file, in its own units
        now = table.make(str(path))
        raw = now.decode(now[np.arange(len(now))]["x"])
        got = source.decode(source[np.arange(len(source))]["x"], rounded=False)
        for name in "ab":
            np.testing.assert_allclose(got[name], raw[name], rtol=1e-5, atol=1e-4)
        assert (got["c"] == raw["c"]).all()
    sampled = open_run(folder)
    assert same(decoded(sampled), before)
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == bool(words)


@pytest.mark.parametrize(
    ("kind", "change"),
    [("table", c) for c in COLUMNS] + [("folder", c) for c in CLASSES],
)
def test_other_columns_or_classes_cannot_resume(kind, change, tmp_path, capsys):
    path, config = run_of(kind, tmp_path)
    folder, (alter, words) = tmp_path / "run", (COLUMNS | CLASSES)[change]
    run = open_run(folder)
    before, names = decoded(run), run.source.class_names
    alter(path)
    with pytest.raises(ValueError, match=f"do not fit .*{words}.*train anew"):
        setup.prepare(config, folder)
    assert capsys.readouterr().err == ""
    run = open_run(folder)
    assert same(decoded(run), before) and run.source.class_names == names
    assert len(capsys.readouterr().err.splitlines()) == 1
    with pytest.raises(ValueError, match="do not fit"):
        _ = run.source[np.arange(2)]


def test_a_run_resumes_in_its_own_units(tmp_path, capsys):
    path = tmp_path / "data"
    write_table(path)
    config = table_config(path, num_steps=2)
    untrained(Experiment(config).measured().config, tmp_path / "run")
    stored = (tmp_path / "run" / record.FILE).read_bytes()
    checksum = open_run(tmp_path / "run").config.data.checksum
    write_table(path, factor=100)
    assert int(loop.run(setup.prepare(config, tmp_path / "run")).step) == 2
    assert "has 1150" in capsys.readouterr().err
    assert (tmp_path / "run" / record.FILE).read_bytes() == stored
    assert open_run(tmp_path / "run").config.data.checksum == checksum


def test_the_record_is_there_before_the_first_checkpoint(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(loop, "updates", fail)
    write_table(tmp_path / "data")
    run = setup.prepare(table_config(tmp_path / "data", num_steps=2), tmp_path / "run")
    with pytest.raises(OSError, match="disk full"):
        loop.run(run)
    assert record.load(tmp_path / "run").layout.names == ("a", "b", "c")


def samples(folder, out, **fields):
    run = open_run(folder)
    run = run.with_sampler(**fields) if fields else run
    sample.run(sample.prepare(run, out=out, num=4))
    with np.load(out / "samples.npz") as file:
        return dict(file)


def latent(tmp_path):
    """An autoencoder of class folders, and a run on its codes."""
    network = encoder_config().model.to_dict()
    fields = {f"model__{k}": v for k, v in network.items()}
    path = tmp_path / "data"
    encoder = folder_config(path, task="autoencoder", num_steps=2, **fields)
    untrained(encoder, tmp_path / "first")
    config = codes_config(tmp_path / "first")
    first = setup.prepare(config, tmp_path / "run").experiment
    untrained(first.config, tmp_path / "run")
    shutil.rmtree(tmp_path / "first" / "latents")
    return {}


def guided(tmp_path):
    path = tmp_path / "data"
    fields = {k: v for k, v in CLASSIFIER.items() if not k.startswith("data__")}
    untrained(folder_config(path, **fields), tmp_path / "classifier")
    untrained(folder_config(path), tmp_path / "run")
    return {"classifier": str(tmp_path / "classifier"), "classifier_scale": 2.0}


def cascade(tmp_path):
    path = tmp_path / "data"
    untrained(folder_config(path, data__size=4), tmp_path / "base")
    fields = {"diffusion__low_size": 4, "sampler__base": str(tmp_path / "base")}
    untrained(folder_config(path, **fields), tmp_path / "run")
    return {}


@pytest.mark.parametrize("kind", ["table", "folder", latent, guided, cascade])
def test_a_run_is_sampled_without_its_data(kind, tmp_path):
    if callable(kind):
        write_pictures(tmp_path / "data")
        fields = kind(tmp_path)
    else:
        run_of(kind, tmp_path)
        fields = {}
    compared = kind in ("table", latent)  # for the rest, decoding is tested alone
    before = samples(tmp_path / "run", tmp_path / "before") if compared else None
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    after = samples(tmp_path / "run", tmp_path / "after", **fields)
    assert np.isfinite(next(iter(after.values()))).all()
    assert not compared or same(before, after)
    run = open_run(tmp_path / "run")
    with pytest.raises(FileNotFoundError, match="data are missing: path: there is no"):
        _ = run.source[np.arange(1)]


def test_codes_of_other_images_are_noticed(tmp_path, capsys):
    write_pictures(tmp_path / "data")
    latent(tmp_path)
    config = open_run(tmp_path / "run").config
    draw(tmp_path / "data" / "cat" / "0.png", 9)
    assert capsys.readouterr().err == ""
    setup.prepare(config, tmp_path / "run")  # no codes are kept: it encodes anew
    assert "has changed since" in capsys.readouterr().err
    draw(tmp_path / "data" / "cat" / "0.png", 0)
    setup.prepare(config, tmp_path / "run")
    error = capsys.readouterr().err
    assert "are of other images than the autoencoder was trained on" in error


def test_a_source_in_python_is_to_be_given_again(tmp_path, capsys):
    source = table.from_columns({"a": np.arange(9.0), "b": np.arange(9.0) ** 2})
    config, folder = tiny_config(num_steps=2), tmp_path / "run"
    assert setup.prepare(config, tmp_path / "new", source).record.given
    untrained(config, folder, source=source)
    run = open_run(folder)
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and "jaxdiff.load(workdir, data=DATA)" in error
    assert run.source.decode(np.zeros((1, 2)))["b"][0] == np.round(204 / 9)
    for use in (
        lambda: run.source[np.arange(1)],
        lambda: setup.prepare(config, folder),
    ):
        with pytest.raises(ValueError, match=r"given in Python, .*data=DATA"):
            use()
    capsys.readouterr()
    assert len(open_run(folder, source=source).source) == 9
    assert capsys.readouterr().err == ""
    other = table.from_columns({"a": np.arange(9.0), "c": np.arange(9.0)})
    with pytest.raises(ValueError, match="no column 'b'; a new column 'c'"):
        setup.prepare(config, folder, other)


def test_a_source_whose_decode_is_not_stored_has_to_be_given(tmp_path):
    source = replace(synthetic.make((2,), 2, 20), decode=lambda x: {"a": x[:, 0]})
    config, folder = tiny_config(num_steps=2), tmp_path / "run"
    untrained(config, folder, source=source)
    with pytest.raises(ValueError, match=r"given in Python, .*data=DATA"):
        open_run(folder)
    assert open_run(folder, source=source).step == 0
