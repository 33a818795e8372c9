"""A run in numbers: those of the metrics, of the samples and images that are meant."""

import json
from dataclasses import replace

import numpy as np
import pytest

from jaxdiff import build
from jaxdiff.metrics import frechet
from jaxdiff.runs import shards
from jaxdiff.runs.evaluate import features as judging
from jaxdiff.runs.evaluate import likelihood as bits
from jaxdiff.runs.evaluate import run as evaluate
from jaxdiff.runs.evaluate.reference import features_of_real
from tests.runs.conftest import IMAGES, config_of, tiny_config, untrained

ASKED = {
    "metrics": [],
    "judge": None,
    "images": None,
    "num": 40,
    "num_real": 0,
    "seed": 0,
    "force": False,
    "ways": ["continuous"],
    "num_bits": 12,
    "steps": 6,
    "cleanest": 0.01,
}


@pytest.fixture(scope="module")
def images(judged, tmp_path_factory):
    config = config_of(**{**IMAGES, "model__name": "speck"}, sampler__clip=True)
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    untrained(config, folder)
    return folder, config, judged[0]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    config = tiny_config()
    folder = tmp_path_factory.mktemp("rows") / "run"
    untrained(config, folder)
    return folder, config


def evaluated(run, out, **changes):
    asked = {**ASKED, "judge": run[2] if len(run) > 2 else None, **changes}
    request = evaluate.prepare(*run[:2], out=out, **asked)
    rows = evaluate.run(request, "python -m launch.evaluate ...")
    return {row["metric"]: row["value"] for row in rows}


def test_every_metric_of_images_is_found_once(images, tmp_path):
    found = evaluated(images, tmp_path / "out")
    assert {*found} >= {
        "frechet",
        "kernel",
        "precision",
        "recall",
        "density",
        "coverage",
    }
    assert {*found} >= {"density", "inception_score", "sliced", "bits, continuous"}
    assert np.isfinite([*found.values()]).all()
    told = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert {"sampler", "num", "seed", "step", "judge", "reference", "pixels"} <= {*told}
    # worked out from what was written, apart
    judge = judging.load_judge(images[2])
    ((_, arrays),) = shards.read(tmp_path / "out" / "samples")
    values = np.round(arrays["values"])
    own = (judging.labels(judge, values, 255.0) == arrays["labels"]).mean()
    assert found["own_label"] == pytest.approx(own)
    made = judging.features(judge, values, 255.0)
    source = build.make_source(images[1])
    real = source.decode(source[np.arange(len(source))]["x"])
    real = judging.features(judge, np.round(real), 255.0)
    expected = frechet.distance(frechet.fit(made), frechet.fit(real))
    assert found["frechet"] == pytest.approx(expected, rel=1e-3)


def test_stopped_it_goes_on_to_the_same_numbers(images, tmp_path, monkeypatch):
    monkeypatch.setattr(bits, "CHUNK", 9)  # padded to 12: the program of above
    first = evaluated(images, tmp_path / "out", metrics=["frechet", "bits"])
    kept = sorted((tmp_path / "out" / "bits").glob("bits-*.npz"))
    assert len(kept) == 2
    kept[1].unlink()
    (tmp_path / "out" / "evaluation.json").unlink()
    before = kept[0].stat().st_mtime_ns
    again = evaluated(images, tmp_path / "out", metrics=["frechet", "bits"])
    assert again == first and kept[0].stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="holds an evaluation of another metrics"):
        evaluated(images, tmp_path / "out", metrics=["kernel", "bits"])
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert first == {row["metric"]: row["value"] for row in found["rows"]}
    # what is known of real images is kept beside the run
    assert len([*(images[0] / "references").iterdir()]) == 1


def test_anybodys_pictures(images, tmp_path):
    source = build.make_source(images[1])
    values = source.decode(source[np.arange(len(source))]["x"])
    (tmp_path / "theirs").mkdir()
    np.savez(tmp_path / "theirs" / "samples.npz", values=values)
    asked = {"metrics": ["frechet"], "images": tmp_path / "theirs"}
    found = evaluated(images, tmp_path / "out", **asked)
    assert found["frechet"] == pytest.approx(0, abs=1e-6)  # the data themselves
    with pytest.raises(ValueError, match="holds an evaluation of another seed"):
        evaluated(images, tmp_path / "out", **asked, seed=1)
    with pytest.raises(ValueError, match="own_label needs images with labels"):
        evaluated(images, tmp_path / "no", **asked | {"metrics": ["own_label"]})
    assert not (tmp_path / "no").exists()


def test_samples_of_codes_are_compared_with_the_images_themselves(images, tmp_path):
    first = config_of(**IMAGES, task="autoencoder", model__name="autoencoder")
    first.model.latent_channels = 2
    untrained(first, tmp_path / "first")
    config = config_of(
        **{**IMAGES, "model__name": "speck"}, diffusion__condition="none"
    )
    config.data.update({"name": "latents", "path": str(tmp_path / "first")})
    untrained(config, tmp_path / "second")
    run = tmp_path / "second", config, images[2]
    found = evaluated(run, tmp_path / "out", metrics=["frechet"])
    judge = judging.load_judge(images[2])
    ((_, arrays),) = shards.read(tmp_path / "out" / "samples")
    true = judge.source[np.arange(len(judge.source))]["x"]
    sides = [np.round(v) for v in (arrays["values"], judge.source.decode(true))]
    seen = [frechet.fit(judging.features(judge, v, 255.0)) for v in sides]
    assert found["frechet"] == pytest.approx(frechet.distance(*seen), rel=1e-3)


def test_features_that_are_not_finite_name_the_file(images, tmp_path, monkeypatch):
    source = build.make_source(images[1])
    values = source.decode(source[np.arange(60)]["x"])
    (tmp_path / "theirs").mkdir()
    for k, part in enumerate((values[:50], values[50:])):
        np.savez(tmp_path / "theirs" / f"samples-{k:05d}.npz", values=part)
    look = judging.features_and_probabilities

    def broken(*args):
        features, probabilities = look(*args)
        features[53, 0] = np.nan
        return features, probabilities

    monkeypatch.setattr(judging, "features_and_probabilities", broken)
    asked = {"metrics": ["frechet"], "images": tmp_path / "theirs"}
    with pytest.raises(ValueError, match=r"samples-00001.npz: what .* image 3 of it"):
        evaluated(images, tmp_path / "out", **asked)


def test_too_few_images_are_told_what_that_does(images, tmp_path, capsys):
    asked = {"metrics": ["frechet"], "num": 8, "num_real": 60}
    found = evaluated(images, tmp_path / "out", **asked)
    said = capsys.readouterr().out
    assert "warning: 8 images span no covariance of" in said
    real = found["frechet of 8 real"]
    assert real > 0 and f"frechet of 8 real images to the others is {real:.3g}" in said


def test_a_table_needs_no_judge(table, tmp_path):
    found = evaluated(table, tmp_path / "out")
    assert {"correlation_gap", "two_sample_accuracy", "bits, continuous"} <= {*found}
    names = build.make_source(table[1]).layout.names
    assert {f"apart: {name}" for name in names} <= {*found}


def test_bits_add_up_and_do_not_depend_on_the_files(table, tmp_path, monkeypatch):
    def rows(out):
        asked = {"num": 12, "steps": 5, "cleanest": 0.05, "seed": 1, "force": False}
        request = bits.prepare(*table, ways=[*bits.WAYS], out=out, **asked)
        return bits.run(request)

    whole = rows(tmp_path / "one")
    monkeypatch.setattr(bits, "CHUNK", 9)  # on four devices 12: one program
    parts = rows(tmp_path / "many")
    assert [row["way"] for row in whole] == [*bits.WAYS]
    for a, b in zip(whole, parts, strict=True):
        assert a["bits"] == pytest.approx(b["bits"], rel=1e-4)
        assert a["error"] > 0
    (path,) = shards.found(tmp_path / "one", bits.STEM)
    with np.load(path) as file:
        for way in ("discrete", "continuous"):
            total = sum(file[f"{way}_{k}"] for k in ("prior", "decoder"))
            total = total + file[f"{way}_steps"].sum(axis=0)
            np.testing.assert_allclose(file[f"{way}_total"], total, rtol=1e-4)
    assert (tmp_path / "one" / "bits.png").exists()


def test_bits_of_another_average_are_not_taken_for_its_own(tmp_path):
    config = tiny_config(ema_widths=(0.05, 0.1), snapshot_every=2)
    untrained(config, tmp_path / "run", step=4)
    asked = {"num": 12, "steps": 5, "cleanest": 0.05, "seed": 1, "force": False}
    asked |= {"ways": ["continuous"], "out": tmp_path / "out"}
    bits.run(bits.prepare(tmp_path / "run", config, **asked))
    config.sampler.ema = 0.1
    with pytest.raises(ValueError, match="another ema"):
        bits.prepare(tmp_path / "run", config, **asked)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"metrics": ["frechett"]}, "did you mean 'frechet'"),
        ({"metrics": ["columns"]}, "--metrics=columns is for tables"),
        ({"judge": None}, "needs --judge=WORKDIR"),
        ({"metrics": ["correlations"]}, "is for tables"),
        ({"num_real": 3}, r"--num_real must be 0 \(all\) or from 4"),
        ({"num": 0}, "--num must be at least 1"),
        ({"ways": ["flows"]}, "got flows"),
        ({"steps": 1}, "--steps must be at least 2"),
        ({"cleanest": 1.0}, "--cleanest must be from 0 to 1"),
    ],
)
def test_mistakes_come_before_any_work(images, tmp_path, changes, says):
    asked = {**ASKED, "judge": images[2], **changes}
    with pytest.raises(ValueError, match=says):
        evaluate.prepare(*images[:2], out=tmp_path / "out", **asked)
    assert not (tmp_path / "out").exists()


def test_a_judge_of_another_size_is_refused(images, tmp_path, monkeypatch):
    judge = judging.load_judge(images[2])
    other = judge._replace(source=replace(judge.source, shape=(9, 9, 1)))
    monkeypatch.setattr(judging, "load_judge", lambda *_: other)
    with pytest.raises(ValueError, match=r"looks at \(9, 9, 1\)"):
        evaluate.prepare(
            *images[:2], out=tmp_path / "out", **{**ASKED, "judge": images[2]}
        )


def test_any_first_real_features_have_the_classes_of_all(images, tmp_path):
    judge = judging.load_judge(images[2])
    found, _ = features_of_real(judge, judge.source, 60, {}, tmp_path)
    every = judge.source[np.arange(60)]
    seen = judging.features(judge, judge.source.decode(every["x"]).round(), 255.0)
    # which image each is of: the nearest
    apart = np.linalg.norm(found[:, None] - seen[None], axis=-1)
    assert sorted(apart.argmin(1)) == [*range(60)]
    labels = every["label"][apart.argmin(1)]
    assert np.bincount(labels[:30]).tolist() == [10, 10, 10]
