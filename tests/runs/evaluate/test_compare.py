"""Comparing folders: the figures are those of the metrics, on the images meant."""

import json

import numpy as np
import pytest
from PIL import Image

from jaxdiff.data import synthetic
from jaxdiff.metrics import frechet, kernel
from jaxdiff.runs.evaluate import compare
from jaxdiff.runs.evaluate import features as module
from jaxdiff.runs.evaluate.features import Reference, load_extractor, to_pixels


@pytest.fixture(scope="module")
def extractor(classifier_run):
    return load_extractor(classifier_run[0])


@pytest.fixture(scope="module")
def folders(extractor, tmp_path_factory):
    """The data themselves; others of the same law, dimmed; and those unlabelled."""
    root = tmp_path_factory.mktemp("folders")
    other = synthetic.make((8, 8, 1), 3, 30, seed=4)
    for name, source, scale in (("same", extractor.source, 1), ("dim", other, 0.4)):
        batch = source[np.arange(len(source))]
        values = source.decode(batch["x"]) * np.float32(scale)
        (root / name).mkdir()
        np.savez(root / name / "samples.npz", values=values, labels=batch["cond"])
    (root / "plain").mkdir()
    np.savez(root / "plain" / "samples.npz", values=values[:, ::2, ::2])
    return root


def prepare(folders, features, *names, **changes):
    fields = {"label": None, "num_real": None, "seed": 0, "force": False}
    fields |= {"out": folders / "out"} | changes
    return compare.prepare([folders / name for name in names], features, **fields)


@pytest.fixture(scope="module")
def compared(folders, extractor):
    out = folders / "compared"
    request = prepare(folders, extractor.folder, "same", "dim", out=out)
    return request, compare.run(request, "python -m launch.compare ...")


def test_the_data_are_at_no_distance_from_themselves(compared, extractor):
    same = compared[1][0]
    spread = np.trace(frechet.fit(real(extractor)).scatter)
    assert same["images"] == 60 and 0 <= same["frechet"] < 1e-9 * spread
    assert same["real_to_real_images"] == 30


def real(extractor, index=None):
    x = extractor.source[np.arange(60) if index is None else index]["x"]
    return extractor.features(to_pixels(extractor.source, x), 255.0)


def test_figures_are_the_metrics(compared, extractor, folders):
    request, rows = compared
    with np.load(folders / "dim" / "samples.npz") as file:
        pixels, labels = np.rint(file["values"]), file["labels"]
    features, index = extractor.features(pixels, 255.0), request.reference.index
    first, row = real(extractor, index[:30]), dict(rows[1])
    assert row.pop("folder") == str(folders / "dim")
    assert row.pop("resized") == ""
    truth = {
        "images": 30,
        "frechet": frechet.distance(
            frechet.fit(features), frechet.fit(real(extractor))
        ),
        "real_to_real": frechet.distance(
            frechet.fit(first), frechet.fit(real(extractor, index[30:]))
        ),
        "real_to_real_images": 30,
        "label_accuracy": (extractor.labels(pixels, 255.0) == labels).mean(),
    }
    true = real(extractor, index)
    unit = np.square(true).mean() ** 0.5
    results = kernel.block_mmd(features / unit, true / unit, 3, 0)
    truth |= {"kid": results.value, "kid_error": results.error, "kid_block": 3}
    assert row == pytest.approx(truth, rel=1e-3)
    assert truth["frechet"] > 2 * truth["real_to_real"]


def test_the_file_has_all_that_changes_the_figures(compared, extractor):
    request, rows = compared
    table = json.loads((request.out / "compare.json").read_text())
    assert table.pop("rows") == rows
    assert table.pop("pixels").endswith("8 bits")
    assert table == {
        "command": "python -m launch.compare ...",
        "extractor": str(extractor.folder),
        "extractor_step": 60,
        "features": 8,
        "real_images": 60,
        "label": None,
        "seed": 0,
    }
    with Image.open(request.out / "compare.png") as picture:
        assert picture.width > 200 and len(picture.getcolors(256)) > 10


def test_one_class_and_other_sizes(folders, extractor, capsys):
    path, chosen = extractor.folder, {"label": "1", "num_real": 12, "seed": 3}
    request = prepare(folders, path, "dim", out=folders / "one class", **chosen)
    index = request.reference.index
    assert request.samples[0].labels.tolist() == [1] * 10
    assert set(extractor.source[index]["cond"]) == {1} and len(index) == 12
    rows = compare.run(request, "")
    printed = capsys.readouterr().out
    assert "real '1 class 1'" in printed and f"{rows[0]['frechet']:.4g}" in printed
    (row,) = compare.run(prepare(folders, path, "plain", out=folders / "small"), "")
    printed = capsys.readouterr().out
    assert row["label_accuracy"] is None
    assert "plain: 4x4, enlarged by bicubic." in printed


def test_the_same_figures_twice(folders, extractor, compared):
    out = folders / "again"
    request = prepare(folders, extractor.folder, "same", "dim", out=out)
    assert compare.run(request, "") == compared[1]


def test_one_pass_gives_every_split(extractor, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 7)
    sizes = (20, 25, 12)
    reference = Reference(extractor, extractor.source, seed=5, sizes=sizes)
    seen, rows = reference._seen, real(extractor, reference.index)
    np.testing.assert_allclose(reference.real, rows[:25], atol=1e-4)
    pairs = [(seen.moments, rows)]
    for n in sizes:
        pairs += zip(seen.splits[n], (rows[:n], rows[n:]), strict=True)
    for moments, part in pairs:
        truth = frechet.fit(part)
        assert moments.count == len(part)
        np.testing.assert_allclose(moments.mean, truth.mean, atol=1e-4)
        np.testing.assert_allclose(moments.scatter, truth.scatter, rtol=1e-3, atol=0.1)
    # all of it in memory gives the same
    whole = Reference(extractor, extractor.source, seed=5)
    for n in sizes:
        both = [r.real_to_real(n)[1] for r in (reference, whole)]
        assert both[0] == pytest.approx(both[1], rel=1e-3)
    assert whole.real.shape == (60, 8) and whole.real_to_real(50)[0] == 30


@pytest.mark.parametrize(
    ("names", "changes", "words"),
    [
        (["none"], {}, "no folder .*none of samples"),
        (["dim", "dim"], {}, "given twice"),
        (
            ["dim"],
            {"label": "3"},
            "from 0 to 2 or .*, got 3; classes: 0 class 0, 1 class 1",
        ),
        (["dim"], {"num_real": 61}, "from 4 to the 60 images that there are, got 61"),
        (["plain"], {"label": "1"}, "plain have no known classes"),
        (["one"], {}, "one has 1 such image; a covariance"),
        (["dim"], {"out": "dim"}, "dim is not empty; choose another folder"),
    ],
)
def test_refuses(folders, extractor, names, changes, words):
    (folders / "one").mkdir(exist_ok=True)
    np.savez(folders / "one" / "samples.npz", values=np.zeros((1, 8, 8, 1)))
    if "out" in changes:
        changes = {"out": folders / changes["out"]}
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        prepare(folders, extractor.folder, *names, **changes)


def test_warns_of_what_means_little():
    def table(*images, real=1000):
        return {
            "features": 64,
            "real_images": real,
            "rows": [{"images": n} for n in images],
        }

    assert compare.warnings(table(65, 65)) == []
    assert "Take 65 or more" in compare.warnings(table(64, 64))[0]
    assert "50 images span no covariance" in compare.warnings(table(65, real=50))[0]
    assert "of the same number" in compare.warnings(table(100, 200))[0]
