"""launch.sample: the files it writes, the flags it takes, the same bits twice."""

import csv
import shutil

import numpy as np
import pytest
from PIL import Image

from jaxdiff.plots.pictures import tile
from tests.launch.conftest import launch, one_line

KNOWN_STEPS = "--config.sampler.known_steps=5"

TABLE = ["pairs.png", "samples.csv", "samples.npz", "sampling.json"]


@pytest.fixture(scope="module")
def made(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    images, table = (f"--workdir={trained[k]}" for k in ("images", "table"))
    cases = {
        "plain": (images, "--num=6", "--png"),
        "again": (images, "--num=6"),
        "one": (images, "--num=5", "--label=class 2", "--png"),
        "chunks": (images, "--num=6", "--config.sampler.batch_size=2"),
        "steps": (images, "--num=6", "--config.sampler.num_steps=3"),
        "guidance": (images, "--num=6", "--config.sampler.guidance=3.0"),
        "seed": (images, "--num=6", "--seed=1"),
        "table": (table, "--num=7"),
        "given": (table, "--num=7", "--fix=petal length (cm)=1.45", KNOWN_STEPS),
        "species": (
            *(table, "--num=7", "--fix=class=virginica", KNOWN_STEPS),
            *("--config.sampler.known=replace", "--config.sampler.resample=3"),
        ),
    }
    done = launch(
        {
            name: ("launch.sample", *arguments, f"--out={folder}/{name}")
            for name, arguments in cases.items()
        }
    )
    for name, outcome in done.items():
        assert outcome.status == 0, (name, outcome.err)
    return folder, done


def read(made, name):
    with np.load(made[0] / name / "samples.npz") as file:
        return dict(file)


def test_files_of_images(made):
    names = sorted(p.name for p in (made[0] / "plain").iterdir())
    kinds = ["class 0", "class 0", "class 1", "class 1", "class 2", "class 2"]
    pngs = [f"{i:06d}_{kind}.png" for i, kind in enumerate(kinds)]
    assert names == sorted(["grid.png", "samples.npz", "sampling.json", *pngs])
    saved = read(made, "plain")
    assert saved["values"].shape == (6, 4, 4, 1)
    assert saved["labels"].tolist() == [0, 0, 1, 1, 2, 2]
    assert saved["seeds"].tolist() == list(range(6)) and saved["seed"] == 0
    # in data units: 0 ... 255, clipped, and not the model's -1 ... 1
    values = saved["values"]
    assert values.min() >= 0 and 2 < values.max() <= 255
    for i, name in enumerate(pngs):
        with Image.open(made[0] / "plain" / name) as file:
            np.testing.assert_array_equal(np.asarray(file), np.rint(values[i, ..., 0]))
    with Image.open(made[0] / "plain" / "grid.png") as file:
        grid = np.asarray(file.convert("L"))
    # rows by class, two a row, enlarged: in the lower right corner, beside the names
    sheet = tile(np.rint(values).astype(np.uint8), columns=2)[..., 0]
    edge, (high, wide) = 7, sheet.shape
    corner = grid[-high - edge : -edge, -wide - edge : -edge]
    np.testing.assert_array_equal(corner, sheet)
    assert grid[:, : -wide - edge].min() < 100  # the names


def test_it_prints_what_it_did(made):
    out = made[1]["plain"].out
    # two solver steps of one evaluation each
    assert "6 samples from step 2" in out and "2 NFE each" in out
    assert "3 NFE each" in made[1]["steps"].out


def test_the_same_bits_twice(made):
    a, b = read(made, "plain"), read(made, "again")
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def test_an_image_is_its_seeds_alone(made):
    """Law 1: in batches of two, and among five of its label, it is the same image."""
    whole, chunks = read(made, "plain")["values"], read(made, "chunks")["values"]
    np.testing.assert_allclose(chunks, whole, atol=0.01)
    one = read(made, "one")
    assert one["labels"].tolist() == [2] * 5
    np.testing.assert_allclose(one["values"][4], whole[4], atol=0.01)
    assert abs(one["values"][0] - whole[0]).max() > 0.1  # of another label
    assert all(abs(whole[0] - whole[i]).max() > 1 for i in range(1, 6))


@pytest.mark.parametrize("name", ["steps", "guidance", "seed"])
def test_overrides_work(made, name):
    assert abs(read(made, name)["values"] - read(made, "plain")["values"]).max() > 0.1


def test_one_class_names_its_files(made):
    names = [p.name for p in (made[0] / "one").glob("0*.png")]
    assert sorted(names) == [f"{i:06d}_class 2.png" for i in range(5)]


def test_files_of_a_table(made):
    names = sorted(p.name for p in (made[0] / "table").iterdir())
    assert names == TABLE
    saved = read(made, "table")
    with (made[0] / "table" / "samples.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 7 and list(rows[0]) == ["petal length (cm)", "class"]
    species = {"setosa", "versicolor", "virginica"}
    assert {row["class"] for row in rows} <= species
    for i, row in enumerate(rows):
        assert row["class"] == saved["class"][i]
        assert float(row["petal length (cm)"]) == pytest.approx(
            float(saved["petal length (cm)"][i])
        )
    assert "labels" not in saved and saved["seeds"].tolist() == list(range(7))


def test_given_columns_are_kept_and_the_rest_described(made):
    for name, column, kept in (
        ("given", "petal length (cm)", "1.4"),  # as round(1.45, 1): a float below it
        ("species", "class", "virginica"),
    ):
        names = sorted(p.name for p in (made[0] / name).iterdir())
        assert names == sorted([*TABLE, "given.png"])
        with (made[0] / name / "samples.csv").open(newline="") as file:
            assert [row[column] for row in csv.DictReader(file)] == [kept] * 7
    out = made[1]["given"].out
    assert "given petal length (cm) = 1.45:" in out and "class: " in out
    out = made[1]["species"].out
    assert "given class = virginica:" in out and "of 50 real rows in 5%-95%" in out
    # two steps, or five where values are known, each three times
    assert "2 NFE each" in made[1]["table"].out
    assert "15 NFE each" in out


def test_training_wrote_what_it_should(trained):
    for kind in ("table", "images"):
        for name in (
            "config.json",
            "metrics.jsonl",
            "loss.png",
            "samples/00000002.png",
        ):
            assert (trained[kind] / name).stat().st_size > 0
        assert "Traceback" not in trained["outcomes"][kind].err


def test_damaged_checkpoints_are_one_line(trained, tmp_path):
    damaged, foreign = tmp_path / "damaged", tmp_path / "foreign"
    for folder in (damaged, foreign):
        shutil.copytree(trained["table"], folder)
    for path in (damaged / "checkpoints").rglob("d/*"):
        path.unlink()
    (foreign / "checkpoints" / "50").mkdir()
    done = launch(
        {
            f.name: ("launch.sample", f"--workdir={f}", f"--out={f}-out", "--num=2")
            for f in (damaged, foreign)
        }
    )
    one_line(done["damaged"], r"none of the checkpoints \[2\] .* step 2 cannot be used")
    assert done["foreign"].status == 0
    (line,) = done["foreign"].err.splitlines()
    assert line.startswith("warning: ") and line.endswith("step 2 is used")
