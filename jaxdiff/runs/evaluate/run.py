"""A run in numbers: its samples against its data, and the likelihood of the data.

Features of the real images are kept in the run's workdir, under a checksum of data,
extractor and count, and so are the same for every evaluation.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm.auto import tqdm

from jaxdiff import files
from jaxdiff.arrays import require
from jaxdiff.data.batches import permutation
from jaxdiff.data.folder import Pictures
from jaxdiff.lock import locked
from jaxdiff.metrics import frechet
from jaxdiff.runs.evaluate import folders, likelihood
from jaxdiff.runs.evaluate.features import Reference, load_extractor
from jaxdiff.runs.evaluate.metrics import METRICS, Pair, choose
from jaxdiff.runs.experiment import Experiment
from jaxdiff.runs.sample import run as sample

# What --out holds: the result, and the folders of samples and of bpd.
RESULT, SAMPLES, BPD = "evaluation.json", "samples", "bpd"
# Real examples, of a run with data.holdout; without it, of which all are trained on.
REAL = HELD_OUT, TRAINING = "held_out", "training"
# Samples in a file: what a stopped evaluation loses at most.
SHARD = 1000


class Request(NamedTuple):
    """What is evaluated, checked: see `prepare`.

    images: somebody's, instead of samples.  reference: None for tables
    compares: whether a metric looks at samples or images
    about: what the numbers depend on beside the samples and the bpd
    """

    run: Experiment
    metrics: list[str]
    sampling: sample.SampleRequest | None
    images: Pictures | None
    reference: Reference | None
    likelihood: likelihood.Request | None
    compares: bool
    about: dict[str, Any]
    out: Path


def prepare(
    run: Experiment,
    *,
    metrics: list[str],
    features: Path | None,
    images: Path | None,
    num: int,
    num_real: int,
    seed: int,
    out: Path,
    force: bool,
    num_bpd: int,
    real: str = HELD_OUT,
    **bpd: Any,
) -> Request:
    """Check everything before any work; what OUT holds of the same request is kept.

    Args:   metrics: of METRICS; [] for all that fit.
            features: what load_extractor takes; None for tables and for bpd alone.
            images: a folder of pictures instead of the run's own samples.
            num_real: 0 for all.  real: of REAL, for a run that holds examples out.
            bpd: estimates, steps, cleanest of likelihood.prepare.
    Errors: ValueError, FileNotFoundError.
    """
    how, run = {"seed": seed, "force": force}, _real(run, real)
    sampling = sample.prepare(
        run, out=out / SAMPLES, num=num, shard=SHARD, keep_complete=True, **how
    )
    source = run.images
    reference = _make_reference(run, features, num_real, bool(features or images))
    given = folders.read(images, source) if images else None
    labels = given.labels if given else run.labels_of(sampling.cond)
    chosen = choose(
        metrics,
        source,
        reference.extractor if reference else None,
        labelled=labels is not None and source.num_classes > 0,
        given=bool(given),
    )
    compares = any(METRICS[name].samples for name in chosen)
    require(
        compares or not (features or images),
        f"--metrics={','.join(chosen)} takes neither --features nor --images",
    )
    likely = None
    if BPD in chosen:
        most = min(num_bpd, len(run.source))
        likely = likelihood.prepare(run, out=out / BPD, num=most, **how, **bpd)
    about = {
        "metrics": chosen,
        "num_real": num_real or len(source),
        "extractor": str(features) if features else None,
        "images": str(images) if images else None,
        "seed": seed,
        **({"real": real} if run.config.data.holdout else {}),
    }
    _check_result(out / RESULT, about, force)
    drawn = sampling if compares and not given else None
    return Request(run, chosen, drawn, given, reference, likely, compares, about, out)


def _real(run, real):
    """The run with the real examples that are requested as its data."""
    require(real in REAL, f"--real must be one of {', '.join(REAL)}, got {real!r}")
    if held := run.config.data.holdout:
        run = run if real == TRAINING else run.on_holdout()
        tqdm.write(f"real examples: {len(run.source):,}, {real} (data.holdout={held})")
    return run


def _make_reference(run, features, num_real, of_images):
    """Of the run's images, and None without features."""
    source = run.images
    require(
        source.is_image or not of_images,
        "--features and --images are for images; this run makes tables",
    )
    require(
        num_real == 0 or 4 <= num_real <= len(source),
        f"--num_real must be 0 (all) or from 4 to the data's {len(source)}, got "
        f"{num_real}",
    )
    if not features:
        return None
    extractor = load_extractor(features, source, trust=run.trust)
    return Reference(extractor, source, num_real or len(source), run=run)


def _check_result(path, about, force):
    """ValueError if the file is the result of another request."""
    if force or not path.is_file():
        return
    stored = files.read_json(path, "delete it").get("about", {})
    text = f"{path}: 'about' must be {{...}}, got {stored!r}"
    require(isinstance(stored, dict), text)
    others = ", ".join(k for k, v in about.items() if stored.get(k) != v)
    text = f"{path} holds an evaluation of another {others}; choose another --out, or "
    require(not others, text + "--force to start anew")


def run(request: Request, command: str) -> list[dict[str, Any]]:
    """Sample, compare, write evaluation.json, and give its rows: metric, value, error.

    command: what was typed, to be kept beside the figures.
    """
    with locked(request.out):
        return _run(request, command)


def _run(request, command):
    record: dict[str, Any] = {
        "command": command,
        "workdir": str(request.run.path),
        "about": request.about,
    }
    pair, baseline = Pair(), {}
    if request.sampling or request.images:
        pair, settings = _compared(request)
        record |= settings
    if request.reference and "frechet" in request.metrics:
        n, distance = request.reference.real_to_real(len(pair.generated))
        record["real_to_real"] = {"images": n, "frechet": distance}
        baseline[f"frechet, real-to-real of {n}"] = distance
        few = frechet.too_few(*pair.generated.shape)
        if few:
            print(f"{few} The baseline of {n} real images is {distance:.3g}.")
    if request.likelihood:
        rows = likelihood.run(request.likelihood)
        record["bpd"] = {**request.likelihood.record, "results": rows}
        pair = pair._replace(bpd=likelihood.by_name(rows))
    values: dict[str, Any] = {}
    for name in request.metrics:
        values |= METRICS[name].compute(pair)
    values |= baseline
    record["rows"] = [
        {"metric": name, "value": value, "error": values.get(f"{name}_error")}
        for name, value in values.items()
        if not name.endswith("_error")
    ]
    files.write_json(request.out / RESULT, record)
    return record["rows"]


def _compared(request: Request) -> tuple[Pair, dict[str, Any]]:
    """What the metrics compare, and every setting that changes a number."""
    settings: dict[str, Any] = {}
    if request.images:
        given = request.images
        settings |= {"folder": str(given.folder), "resized": given.resized}
    else:
        assert request.sampling, "samples, unless there are images"
        sample.run(request.sampling)
        nfe = request.sampling.sampler.nfe()
        settings |= request.sampling.record | {"nfe": nfe}
    pair, more = (_features if request.reference else _columns)(request)
    return pair, settings | more


def _columns(request):
    source, drawn = request.run.source, request.sampling
    index = permutation(0, 0, len(source))[: request.about["num_real"]]
    real = source.decode(source[index]["x"])
    generated = folders.read_columns(drawn.out, source.layout, drawn.num, SHARD)
    return Pair(real, generated, request.about["seed"]), {"real_rows": len(index)}


def _features(request):
    reference, folder = request.reference, request.out / SAMPLES
    given, rows = request.images, []
    for some in [given] if given else folders.stream(folder, reference.source):
        features, shares = reference.extractor.features_and_probabilities(some.pixels)
        folders.check_finite(some, features)
        rows.append((features, shares, some.labels))
    features, probabilities, labels = zip(*rows, strict=True)
    few = not given and sum(map(len, features)) != request.sampling.num
    require(not few, f"{folder} does not hold --num images; draw them anew: --force")
    pair = Pair(
        reference.real,
        np.concatenate(features),
        request.about["seed"],
        reference,
        np.concatenate(probabilities),
        None if labels[0] is None else np.concatenate(labels),
    )
    settings = {"images": len(pair.generated), "reference": reference.checksum}
    return pair, reference.record | settings
