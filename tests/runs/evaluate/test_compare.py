"""Comparing folders: the figures are those of the metrics, on the images meant."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxdiff.data import synthetic
from jaxdiff.metrics import frechet, kernel
from jaxdiff.runs.evaluate import compare, reference, sheet
from jaxdiff.runs.evaluate import metrics as scores
from jaxdiff.runs.evaluate.features import features, labels, load_judge
from jaxdiff.runs.evaluate.folders import Samples


@pytest.fixture(scope="module")
def judge(judged):
    return load_judge(judged[0])


@pytest.fixture(scope="module")
def folders(judge, tmp_path_factory):
    """The data themselves; others of the same law, dimmed; and those unlabelled."""
    root = tmp_path_factory.mktemp("folders")
    other = synthetic.make((8, 8, 1), 3, 30, seed=4)
    for name, source, scale in (("same", judge.source, 1), ("dim", other, 0.4)):
        batch = source[np.arange(len(source))]
        values = source.decode(batch["x"]) * np.float32(scale)
        (root / name).mkdir()
        np.savez(root / name / "samples.npz", values=values, labels=batch["label"])
    (root / "plain").mkdir()
    np.savez(root / "plain" / "samples.npz", values=values[:, ::2, ::2])
    return root


def prepare(folders, judged, *names, **changes):
    fields = {"label": None, "num_real": None, "seed": 0, "force": False}
    fields |= {"out": folders / "out"} | changes
    return compare.prepare([folders / name for name in names], judged[0], **fields)


@pytest.fixture(scope="module")
def compared(folders, judged):
    request = prepare(folders, judged, "same", "dim", out=folders / "compared")
    return request, compare.run(request, "python -m launch.compare ...")


def test_the_data_are_at_no_distance_from_themselves(compared, judge):
    same = compared[1][0]
    spread = np.trace(frechet.fit(real(judge)).scatter)
    assert same["images"] == 60 and 0 <= same["frechet"] < 1e-9 * spread
    assert same["images_of_real"] == 30


def real(judge, index=None):
    x = judge.source[np.arange(60) if index is None else index]["x"]
    return features(judge, reference.real_pixels(judge.source, x), 255.0)


def test_figures_are_the_metrics(compared, judge, folders):
    request, rows = compared
    with np.load(folders / "dim" / "samples.npz") as file:
        pixels, told = np.rint(file["values"]), file["labels"]
    seen = features(judge, pixels, 255.0)
    first, row = real(judge, request.index[:30]), dict(rows[1])
    assert row.pop("folder") == str(folders / "dim")
    assert row.pop("resized") == ""
    truth = {
        "images": 30,
        "frechet": frechet.distance(frechet.fit(seen), frechet.fit(real(judge))),
        "frechet_of_real": frechet.distance(
            frechet.fit(first), frechet.fit(real(judge, request.index[30:]))
        ),
        "images_of_real": 30,
        "own_label": (labels(judge, pixels, 255.0) == told).mean(),
    }
    true = real(judge, request.index)
    unit = np.square(true).mean() ** 0.5
    found = kernel.block_mmd(seen / unit, true / unit, 3, 0)
    truth |= {"kernel": found.value, "kernel_error": found.error, "kernel_block": 3}
    assert row == pytest.approx(truth, rel=1e-3)
    assert truth["frechet"] > 2 * truth["frechet_of_real"]


def test_files_tell_all_that_changes_the_figures(compared, judged):
    request, rows = compared
    told = json.loads((request.out / "compare.json").read_text())
    assert told.pop("rows") == rows
    assert told.pop("pixels").endswith("8 bits")
    assert told == {
        "command": "python -m launch.compare ...",
        "judge": str(judged[0]),
        "judge_step": 60,
        "features": 8,
        "real_images": 60,
        "label": None,
        "seed": 0,
    }
    with Image.open(request.out / "compare.png") as picture:
        assert picture.width > 200 and len(picture.getcolors(256)) > 10


def test_one_class_and_other_sizes(folders, judged, judge, capsys):
    request = prepare(
        folders, judged, "dim", label=1, num_real=12, seed=3, out=folders / "one class"
    )
    assert request.samples[0].labels.tolist() == [1] * 10
    assert set(judge.source[request.index]["label"]) == {1} and len(request.index) == 12
    rows = compare.run(request, "")
    said = capsys.readouterr().out
    assert "real '1 class 1'" in said and f"{rows[0]['frechet']:.4g}" in said
    (row,) = compare.run(prepare(folders, judged, "plain", out=folders / "small"), "")
    said = capsys.readouterr().out
    assert row["own_label"] is None and "plain: 4x4, enlarged by bicubic." in said


def test_the_same_figures_twice(folders, judged, compared):
    request = prepare(folders, judged, "same", "dim", out=folders / "again")
    assert compare.run(request, "") == compared[1]


def test_real_images_keep_the_proportion_of_classes():
    """Any first n; each image once; of one class, or a number of them by the seed."""
    source = synthetic.make((8, 8, 1), 3, 90)
    skewed = replace(
        source,
        load=lambda i: source.load(i) | {"label": (i >= 60).astype(np.int32)},
        num_classes=2,
    )
    index = reference.real_order(skewed, None, None, 0)
    assert sorted(index) == list(range(90))
    for n in (9, 30, 60):
        assert (index[:n] < 60).sum() == pytest.approx(n * 2 / 3, abs=1)
    one = reference.real_order(skewed, 1, 20, 0)
    assert len({*one}) == 20 and one.min() >= 60
    assert {*reference.real_order(skewed, None, 20, 1)} != {
        *reference.real_order(skewed, None, 20, 0)
    }
    for num in (3, 31):
        with pytest.raises(ValueError, match=r"from 4 to the 30 images .* got"):
            reference.real_order(skewed, 1, num, 0)
    with pytest.raises(ValueError, match=r"from 4 to the 90 images .* got 91"):
        reference.real_order(skewed, None, 91, 0)


def test_one_pass_gives_every_split(judge, monkeypatch):
    monkeypatch.setattr(reference, "BATCH", 7)
    index = np.random.default_rng(0).permutation(60)
    found = compare.look_at_real(judge, index, {20, 30}, 25)
    rows = real(judge, index)
    np.testing.assert_allclose(found.few, rows[:25], atol=1e-4)
    pairs = [(found.whole, rows)]
    for n in (20, 30):
        pairs += zip(found.splits[n], (rows[:n], rows[n:]), strict=True)
    for moments, part in pairs:
        truth = frechet.fit(part)
        assert moments.count == len(part)
        np.testing.assert_allclose(moments.mean, truth.mean, atol=1e-4)
        np.testing.assert_allclose(moments.scatter, truth.scatter, rtol=1e-3, atol=0.1)


@pytest.mark.parametrize(
    ("names", "changes", "words"),
    [
        (["none"], {}, "no folder .*none of samples"),
        (["dim", "dim"], {}, "given twice"),
        (["dim"], {"label": 3}, "from 0 to 2, got 3; classes: 0 class 0, 1 class 1"),
        (["dim"], {"num_real": 61}, "from 4 to the 60 images that there are, got 61"),
        (["plain"], {"label": 1}, "plain does not say which class"),
        (["one"], {}, "one holds 1 image of those asked for; a covariance"),
        (["dim"], {"out": "dim"}, "dim is not empty; choose another folder"),
    ],
)
def test_refuses(folders, judged, names, changes, words):
    (folders / "one").mkdir(exist_ok=True)
    np.savez(folders / "one" / "samples.npz", values=np.zeros((1, 8, 8, 1)))
    if "out" in changes:
        changes = {"out": folders / changes["out"]}
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        prepare(folders, judged, *names, **changes)


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


def test_the_sheet_puts_class_under_class():
    def some(told):
        pixels = np.arange(len(told), dtype=np.uint8).reshape(-1, 1, 1, 1)
        return Samples(Path(), pixels, np.array(told, np.int32), "", ())

    a, b = some([0, 1, 2, 1, 1, 1]), some([2, 2, 1])
    assert sheet.common_classes([a, b]) == [1, 2]
    assert sheet.common_classes([a, b._replace(labels=None)]) == []
    many = some(list(range(100)))
    chosen = sheet.common_classes([many, many])
    assert len(chosen) == 10 and chosen[0] == 0 and chosen[-1] == 99
    strips = sheet.strips_of(a, [1, 2])[..., 0, 0, 0]
    assert strips.tolist() == [[1, 2], [3, 255], [4, 255]]
    strips = sheet.strips_of(some(list(range(12))), [])[..., 0, 0, 0]
    assert strips[0].tolist() == list(range(10))
    assert strips[1].tolist() == [10, 11, *[255] * 8]


def test_the_kernel_distance_does_not_depend_on_the_features_scale():
    x, y = np.random.default_rng(0).normal(size=(2, 60, 4))
    x = x + 0.5
    once, scaled = (scores.kernel_distance(a * x, a * y, 0) for a in (1, 40))
    assert scaled["kernel"] == pytest.approx(once["kernel"], rel=1e-6)
    assert once["kernel_error"] > 0
