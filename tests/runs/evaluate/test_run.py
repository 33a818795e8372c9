"""A run in numbers: those of the metrics, on the right samples and images."""

import json

import numpy as np
import pytest

from jaxdiff import arrays
from jaxdiff.metrics import frechet
from jaxdiff.runs import shards
from jaxdiff.runs.evaluate import likelihood
from jaxdiff.runs.evaluate import run as evaluate
from jaxdiff.runs.evaluate.features import Extractor, Reference, load_extractor
from jaxdiff.runs.experiment import open_run
from tests.runs.conftest import IMAGES, tiny_config, untrained

REQUEST = {
    "metrics": [],
    "features": None,
    "images": None,
    "num": 40,
    "num_real": 0,
    "seed": 0,
    "force": False,
    "estimates": ["continuous"],
    "num_bpd": 12,
    "steps": 6,
    "cleanest": 0.01,
}
BPD = {"num": 12, "steps": 5, "cleanest": 0.05, "seed": 1, "force": False}


@pytest.fixture(scope="module")
def images(classifier_run, tmp_path_factory):
    """(a run of images, the path of an extractor of their features)."""
    config = tiny_config(**{**IMAGES, "model__name": "speck"}, sampler__clip=True)
    run = untrained(config, tmp_path_factory.mktemp("evaluated") / "run")
    return run, classifier_run[0]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return untrained(tiny_config(), tmp_path_factory.mktemp("rows") / "run"), None


def evaluated(case, out, **changes):
    run, features = case
    fields = {**REQUEST, "features": features, **changes}
    request = evaluate.prepare(run, out=out, **fields)
    rows = evaluate.run(request, "python -m launch.evaluate ...")
    return {row["metric"]: row["value"] for row in rows}


def test_every_metric_of_images_is_found_once(images, tmp_path):
    output = evaluated(images, tmp_path / "out")
    assert {*output} >= {
        "frechet",
        "kid",
        "precision",
        "recall",
        "density",
        "coverage",
    }
    assert {*output} >= {"density", "inception_score", "sliced", "bpd, continuous"}
    assert np.isfinite([*output.values()]).all()
    record = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    names = {"sampler", "num", "seed", "step", "extractor", "reference", "pixels"}
    assert names | {"nfe"} <= {*record}
    assert record["bpd"]["results"][0]["bpd"] == output["bpd, continuous"]
    # worked out from what was written, apart
    run, extractor = images[0], load_extractor(images[1])
    ((_, arrays),) = shards.read(tmp_path / "out" / "samples")
    values = np.round(arrays["values"])
    accuracy = (extractor.labels(values, 255.0) == arrays["labels"]).mean()
    assert output["label_accuracy"] == pytest.approx(accuracy)
    generated = extractor.features(values, 255.0)
    real = run.source.decode(run.source[np.arange(len(run.source))]["x"])
    real = extractor.features(np.round(real), 255.0)
    expected = frechet.distance(frechet.fit(generated), frechet.fit(real))
    assert output["frechet"] == pytest.approx(expected, rel=1e-3)


def test_stopped_it_resumes_to_the_same_numbers(images, tmp_path, monkeypatch):
    monkeypatch.setattr(likelihood, "CHUNK", 9)  # padded to 12: the program of above
    first = evaluated(images, tmp_path / "out", metrics=["frechet", "bpd"])
    kept = sorted((tmp_path / "out" / "bpd").glob("bpd-*.npz"))
    assert len(kept) == 2
    kept[1].unlink()
    (tmp_path / "out" / "evaluation.json").unlink()
    before = kept[0].stat().st_mtime_ns
    again = evaluated(images, tmp_path / "out", metrics=["frechet", "bpd"])
    assert again == first and kept[0].stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="holds an evaluation of another metrics"):
        evaluated(images, tmp_path / "out", metrics=["kid", "bpd"])
    record = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert first == {row["metric"]: row["value"] for row in record["rows"]}
    # features of real images are kept beside the run
    assert len([*(images[0].path / "references").iterdir()]) == 1


def test_kept_features_of_real_images_are_not_made_again(images, tmp_path, monkeypatch):
    run, extractor = images[0], load_extractor(images[1])
    first = Reference(extractor, run.images, 20, run=run).real

    def broken(*_):
        raise AssertionError("features are kept")

    monkeypatch.setattr(Extractor, "_apply", broken)
    again = Reference(extractor, run.images, 20, run=run)
    np.testing.assert_array_equal(again.real, first)
    # another order, number or extractor is not taken for it
    for other in (
        Reference(extractor, run.images, 20, seed=1, run=run),
        Reference(extractor, run.images, 21, run=run),
        Reference(extractor._replace(classify=[np.ones(3)]), run.images, 20, run=run),
    ):
        assert other.checksum != again.checksum
        with pytest.raises(AssertionError, match="features are kept"):
            _ = other.real


def test_anybodys_pictures(images, tmp_path):
    source = images[0].source
    values = source.decode(source[np.arange(len(source))]["x"])
    (tmp_path / "theirs").mkdir()
    np.savez(tmp_path / "theirs" / "samples.npz", values=values)
    fields = {"metrics": ["frechet"], "images": tmp_path / "theirs"}
    output = evaluated(images, tmp_path / "out", **fields)
    assert output["frechet"] == pytest.approx(0, abs=1e-6)  # the data themselves
    with pytest.raises(ValueError, match="holds an evaluation of another seed"):
        evaluated(images, tmp_path / "out", **fields, seed=1)
    with pytest.raises(ValueError, match="label_accuracy needs images with labels"):
        evaluated(images, tmp_path / "no", **fields | {"metrics": ["label_accuracy"]})
    with pytest.raises(ValueError, match="bpd takes neither --features nor --images"):
        evaluated(images, tmp_path / "no", **fields | {"metrics": ["bpd"]})
    assert not (tmp_path / "no").exists()


def test_samples_of_codes_are_compared_with_the_images_themselves(images, tmp_path):
    first = tiny_config(**IMAGES, task="autoencoder", model__name="autoencoder")
    first.model.latent_channels = 2
    untrained(first, tmp_path / "first")
    config = tiny_config(
        **{**IMAGES, "model__name": "speck"}, diffusion__condition="none"
    )
    config.data.update({"name": "latents", "path": str(tmp_path / "first")})
    run = untrained(config, tmp_path / "second")
    output = evaluated((run, images[1]), tmp_path / "out", metrics=["frechet"])
    extractor = load_extractor(images[1])
    ((_, arrays),) = shards.read(tmp_path / "out" / "samples")
    true = extractor.source[np.arange(len(extractor.source))]["x"]
    pair = [np.round(v) for v in (arrays["values"], extractor.source.decode(true))]
    moments = [frechet.fit(extractor.features(v, 255.0)) for v in pair]
    assert output["frechet"] == pytest.approx(frechet.distance(*moments), rel=1e-3)


def test_features_that_are_not_finite_name_the_file(images, tmp_path, monkeypatch):
    source = images[0].source
    values = source.decode(source[np.arange(60)]["x"])
    (tmp_path / "theirs").mkdir()
    for k, part in enumerate((values[:50], values[50:])):
        np.savez(tmp_path / "theirs" / f"samples-{k:05d}.npz", values=part)
    method = Extractor.features_and_probabilities

    def broken(*args):
        features, probabilities = method(*args)
        features[53, 0] = np.nan
        return features, probabilities

    monkeypatch.setattr(Extractor, "features_and_probabilities", broken)
    fields = {"metrics": ["frechet"], "images": tmp_path / "theirs"}
    words = r"samples-00001.npz: the features of image 3 of it"
    with pytest.raises(ValueError, match=words):
        evaluated(images, tmp_path / "out", **fields)


def test_too_few_images_are_a_warning(images, tmp_path, capsys):
    fields = {"metrics": ["frechet"], "num": 8, "num_real": 60}
    output = evaluated(images, tmp_path / "out", **fields)
    printed = capsys.readouterr().out
    assert "warning: 8 images span no covariance of" in printed
    real = output["frechet, real-to-real of 8"]
    assert real > 0
    assert f"The baseline of 8 real images is {real:.3g}." in printed


def test_a_table_needs_no_features(table, tmp_path):
    output = evaluated(table, tmp_path / "out")
    assert {"correlation_gap", "two_sample_accuracy", "bpd, continuous"} <= {*output}
    names = table[0].source.layout.names
    assert {f"apart: {name}" for name in names} <= {*output}
    with pytest.raises(ValueError, match="are for images; this run makes tables"):
        evaluated(table, tmp_path / "no", features=tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v[:5], r"'a' must be 40 values, finite numbers, got float64 \(5,\)"),
        (lambda v: None, "no array 'a'"),
        (lambda v: v[0], r"must be 40 values, .* got float64 \(\)"),
        (
            lambda v: np.where(np.arange(40) == 3, np.nan, v),
            "finite numbers, got 'nan'",
        ),
        (lambda v: v.astype(str), "finite numbers, got <U"),
    ],
)
def test_kept_rows_that_are_not_those_of_the_request(table, tmp_path, change, words):
    source = table[0].source
    name = next(c.name for c in source.layout.columns if not c.categories)
    _check_kept(table, tmp_path, name, change, words.replace("'a'", repr(name)))


def test_kept_rows_of_an_unknown_category(tmp_path):
    run = untrained(
        tiny_config(data__name="iris", diffusion__condition="none"), tmp_path / "run"
    )
    words = "'class' must be 40 values, of the data's categories, got 'rose'"
    _check_kept((run, None), tmp_path, "class", lambda v: ["rose", *v[1:]], words)


def _check_kept(case, tmp_path, name, change, words):
    """Evaluated again, after `change` of a column of the samples, nothing is kept."""
    fields = {"metrics": ["columns"]}
    evaluated(case, tmp_path / "out", **fields)
    path = tmp_path / "out" / "samples" / "samples.npz"
    with np.load(path) as file:
        kept = dict(file)
    changed = {**kept, name: change(kept[name])}
    np.savez(path, **{k: v for k, v in changed.items() if v is not None})
    with pytest.raises(ValueError, match=rf"samples\.npz.* {words}.*; delete the file"):
        evaluated(case, tmp_path / "out", **fields)
    path.unlink()
    evaluated(case, tmp_path / "out", **fields)


def test_fewer_kept_images_than_requested(images, tmp_path):
    fields = {"metrics": ["frechet"]}
    evaluated(images, tmp_path / "out", **fields)
    path = tmp_path / "out" / "samples" / "samples.npz"
    with np.load(path) as file:
        kept = dict(file)
    np.savez(path, **{**kept, "values": kept["values"][:9], "labels": np.zeros(9, int)})
    with pytest.raises(
        ValueError, match="samples does not hold --num images; draw them anew"
    ):
        evaluated(images, tmp_path / "out", **fields)


def test_bpd_add_up_and_do_not_depend_on_the_files(table, tmp_path, monkeypatch):
    estimates = [*likelihood.ESTIMATES]

    def rows(out):
        request = likelihood.prepare(table[0], estimates=estimates, out=out, **BPD)
        return likelihood.run(request)

    whole = rows(tmp_path / "one")
    monkeypatch.setattr(likelihood, "CHUNK", 9)  # on four devices 12: one program
    parts = rows(tmp_path / "many")
    assert [row["estimate"] for row in whole] == estimates
    for a, b in zip(whole, parts, strict=True):
        assert a["bpd"] == pytest.approx(b["bpd"], rel=1e-4)
        assert a["error"] > 0
    (path,) = shards.list_files(tmp_path / "one", likelihood.STEM)
    with np.load(path) as file:
        for name in ("discrete", "continuous"):
            total = sum(file[f"{name}_{k}"] for k in ("prior", "decoder"))
            total = total + file[f"{name}_steps"].sum(axis=0)
            np.testing.assert_allclose(file[f"{name}_total"], total, rtol=1e-4)
    assert (tmp_path / "one" / "bpd.png").exists()


def test_the_flow_is_refused_without_its_extra(table, tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"'flow' needs the package diffrax: pip"):
        fields = BPD | {"estimates": ["discrete", "flow"], "out": tmp_path / "out"}
        likelihood.prepare(table[0], **fields)
    likelihood.prepare(table[0], **fields | {"estimates": ["discrete"]})


def test_bpd_are_of_the_variance_that_the_run_samples_with(table, tmp_path):
    """In every step but the last, which is of the small one either way."""
    bits = {}
    for variance in ("small", "large"):
        run = table[0].with_sampler(solver=f"ddpm(variance={variance!r})")
        fields = BPD | {"estimates": ["discrete"], "out": tmp_path / variance}
        likelihood.run(likelihood.prepare(run, **fields))
        (path,) = shards.list_files(tmp_path / variance, likelihood.STEM)
        bits[variance] = dict(np.load(path))
    small, large = bits["small"], bits["large"]
    assert abs(small["discrete_steps"] - large["discrete_steps"]).mean() > 1e-2
    np.testing.assert_array_equal(small["discrete_decoder"], large["discrete_decoder"])
    with pytest.raises(ValueError, match="variance"):
        likelihood.prepare(run, **fields | {"out": tmp_path / "small"})


def test_bpd_of_another_average_are_not_taken_for_its_own(tmp_path):
    config = tiny_config(ema_widths=(0.05, 0.1), snapshot_every=2)
    run = untrained(config, tmp_path / "run", step=4)
    fields = BPD | {"estimates": ["continuous"], "out": tmp_path / "out"}
    likelihood.run(likelihood.prepare(run, **fields))
    config.sampler.ema = 0.1
    with pytest.raises(ValueError, match="another ema"):
        likelihood.prepare(open_run(tmp_path / "run", config), **fields)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": ["frechett"]}, "did you mean 'frechet'"),
        ({"metrics": ["columns"]}, "--metrics=columns is for tables"),
        ({"features": None}, "needs --features=PATH"),
        ({"metrics": ["correlations"]}, "is for tables"),
        ({"num_real": 3}, r"--num_real must be 0 \(all\) or from 4"),
        ({"num": 0}, "--num must be at least 1"),
        ({"estimates": ["flows"]}, "got flows"),
        ({"steps": 1}, "--steps must be at least 2"),
        ({"cleanest": 1.0}, "--cleanest must be from 0 to 1"),
    ],
)
def test_mistakes_come_before_any_work(images, tmp_path, changes, message):
    fields = {**REQUEST, "features": images[1], **changes}
    with pytest.raises(ValueError, match=message):
        evaluate.prepare(images[0], out=tmp_path / "out", **fields)
    assert not (tmp_path / "out").exists()


def test_features_of_another_size_are_refused(images, tmp_path):
    small = tiny_config(**{**IMAGES, "model__name": "speck", "data__shape": (4, 4, 1)})
    run = untrained(small, tmp_path / "run")
    fields = {**REQUEST, "features": images[1]}
    with pytest.raises(ValueError, match=r"images \(8, 8, 1\), .* are \(4, 4, 1\)"):
        evaluate.prepare(run, out=tmp_path / "out", **fields)
    assert not (tmp_path / "out").exists()


def test_any_first_real_features_have_the_classes_of_all(images):
    extractor = load_extractor(images[1])
    output = Reference(extractor, extractor.source, 60).real
    every = extractor.source[np.arange(60)]
    seen = extractor.features(extractor.source.decode(every["x"]).round(), 255.0)
    # which image each is of: the nearest
    apart = np.linalg.norm(output[:, None] - seen[None], axis=-1)
    assert sorted(apart.argmin(1)) == [*range(60)]
    labels = every["cond"][apart.argmin(1)]
    assert np.bincount(labels[:30]).tolist() == [10, 10, 10]
