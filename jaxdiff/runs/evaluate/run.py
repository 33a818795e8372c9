"""A run in numbers: its samples against its data, and how likely it finds them.

Images are seen through the features of a judge, real and generated alike rounded to 8
bits. What is known of the real ones is kept in the run's workdir, under a checksum of
data, judge and count, and so is the same for every evaluation.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxdiff.arrays import require
from jaxdiff.data.batches import permutation
from jaxdiff.data.source import Source
from jaxdiff.metrics import frechet
from jaxdiff.runs import shards
from jaxdiff.runs.evaluate import features as judging
from jaxdiff.runs.evaluate import folders
from jaxdiff.runs.evaluate import likelihood as bits
from jaxdiff.runs.evaluate import metrics as scores
from jaxdiff.runs.evaluate.features import Judge
from jaxdiff.runs.evaluate.metrics import BITS, METRICS, Sides
from jaxdiff.runs.evaluate.reference import REFERENCES, WHITE, features_of_real
from jaxdiff.runs.experiment import images_of
from jaxdiff.runs.sample import run as sample

# What was found, and beside it the folder of its samples.
FOUND, SAMPLES = "evaluation.json", "samples"
# Samples in a file: what a stopped evaluation loses at most.
SHARD = 1000


class Request(NamedTuple):
    """What was asked for, checked: see `prepare`.

    about: what the numbers depend on beside the samples and the bits
    """

    metrics: list[str]
    source: Source
    sampling: sample.Request | None
    bits: bits.Request | None
    images: folders.Samples | None
    judge: Judge | None
    about: dict[str, Any]
    data: dict[str, Any]
    workdir: Path
    out: Path


def prepare(
    workdir: Path,
    config: ConfigDict,
    *,
    metrics: list[str],
    judge: Path | None,
    images: Path | None,
    num: int,
    num_real: int,
    seed: int,
    out: Path,
    force: bool,
    ways: list[str],
    num_bits: int,
    steps: int,
    cleanest: float,
) -> Request:
    """Check everything before any work; what OUT holds of the same request is kept.

    Args:   metrics: of METRICS and "bits"; [] for all that fit.
            images: a folder of pictures instead of the run's own samples.
            num_real: 0 for all.  ways, num_bits, steps, cleanest: as bits.prepare's.
    Errors: ValueError, FileNotFoundError.
    """
    asked = sample.prepare(
        workdir,
        config,
        out=out / SAMPLES,
        num=num,
        seed=seed,
        label=None,
        png=False,
        force=force,
        shard=SHARD,
        whole_too=True,
    )
    source = images_of(config, asked.trained.source)
    given = folders.read(images, source) if images else None
    labels = given.labels if given else asked.labels
    wanted = scores.wanted(metrics, source, judge, bool(given), labels is not None)
    seen = [name for name in wanted if name != BITS]
    judged = None
    if judge and seen and source.is_image:
        judged = judging.load_for("--judge", judge, source)
    require(
        num_real == 0 or 4 <= num_real <= len(source),
        f"--num_real must be 0 (all) or from 4 to the data's {len(source)}, got "
        f"{num_real}",
    )
    likely = None
    if BITS in wanted:
        likely = bits.prepare(
            workdir,
            config,
            ways=ways,
            num=min(num_bits, len(source)),
            steps=steps,
            cleanest=cleanest,
            seed=seed,
            out=out / BITS,
            force=force,
        )
    sampling = asked if seen and not given else None
    about = {
        "metrics": wanted,
        "num_real": num_real or len(source),
        "judge": str(judge) if judged else None,
        "images": str(images) if images else None,
        "seed": seed,
    }
    _check_found(out / FOUND, about, force)
    return Request(
        wanted,
        source,
        sampling,
        likely,
        given,
        judged,
        about,
        config.data.to_dict(),
        workdir,
        out,
    )


def _check_found(path, about, force):
    """ValueError where something else was found already."""
    if force or not path.is_file():
        return
    stored = json.loads(path.read_text()).get("about", {})
    others = [k for k, v in about.items() if stored.get(k) != v]
    require(
        not others,
        f"{path} holds an evaluation of another {', '.join(others)}; choose another "
        "--out, or --force to do all of it anew",
    )


def run(request: Request, command: str) -> list[dict[str, Any]]:
    """Sample, judge, write evaluation.json, and give its rows: metric, value, error."""
    rows: list[dict[str, Any]] = []
    told: dict[str, Any] = {"command": command, "workdir": str(request.workdir)}
    told["about"] = request.about
    if request.sampling or request.images:
        sides, about = _sides(request)
        told |= about
        print("\n".join(warnings(request, told)), end="")
        for name in request.metrics:
            if name != BITS:
                rows += _rows(METRICS[name].compute(sides))
        rows += _rows(told.get("yardstick", {}))
    if request.bits:
        found = bits.run(request.bits)
        told["bits"] = {**request.bits.asked, "found": found}
        rows += [row for r in found for row in _bits_rows(r)]
    request.out.mkdir(parents=True, exist_ok=True)
    (request.out / FOUND).write_text(
        json.dumps({**told, "rows": rows}, indent=2) + "\n"
    )
    return rows


def _rows(values):
    return [
        {"metric": name, "value": value, "error": values.get(f"{name}_error")}
        for name, value in values.items()
        if not name.endswith("_error")
    ]


def _bits_rows(found):
    """Of one way; of codes also whose share is how much."""
    name = f"bits, {found['way']}"
    shares = [k for k in bits.SHARES if k in found]
    return [
        {"metric": name, "value": found["bits"], "error": found["error"]},
        *({"metric": f"{name}: {k}", "value": found[k], "error": None} for k in shares),
    ]


def _sides(request):
    """Sides, and every setting that changes a number."""
    told: dict[str, Any] = {}
    if request.images:
        given = request.images
        told |= {"folder": str(given.folder), "resized": given.resized}
    else:
        sample.run(request.sampling)
        calls = request.sampling.sampler.calls()
        told |= request.sampling.asked | {"network_calls": calls}
    return (_features if request.source.is_image else _columns_of)(request, told)


def _columns_of(request, told):
    parts = [arrays for _, arrays in shards.read(request.out / SAMPLES)]
    index = permutation(0, 0, len(request.source))[: request.about["num_real"]]
    real = request.source.decode(request.source[index]["x"])
    made = {k: np.concatenate([part[k] for part in parts]) for k in real}
    return Sides(real, made, None, None, request.about["seed"]), told | {
        "real_rows": len(index)
    }


def _features(request, told):
    judge, source = request.judge, request.source
    if request.images:
        parts = [request.images]
    else:
        parts = folders.stream(request.out / SAMPLES, source)
    seen = [_seen(judge, some) for some in parts]
    made, probabilities, labels = zip(*seen, strict=True)
    made, probabilities = np.concatenate(made), np.concatenate(probabilities)
    labels = None if labels[0] is None else np.concatenate(labels)
    real, checksum = features_of_real(
        judge,
        source,
        request.about["num_real"],
        request.data,
        request.workdir / REFERENCES,
    )
    told |= {
        "judge": str(judge.folder),
        "judge_step": judge.step,
        "features": made.shape[1],
        "images": len(made),
        "real_images": len(real),
        "reference": checksum,
        "pixels": "real and generated alike rounded to 8 bits",
    }
    if "frechet" in request.metrics:
        told["yardstick"] = _yardstick(real, len(made))
    sides = Sides(
        real, made, probabilities, labels, request.about["seed"], judge.published
    )
    return sides, told


def _yardstick(real, num):
    """The Frechet distance of as many real images, at most half, to the others.

    Classes are as even in both as in samples: uneven ones are a distance by themselves.
    """
    n = min(num, len(real) // 2)
    few, others = frechet.fit(real[:n]), frechet.fit(real[n:])
    return {f"frechet of {n} real": frechet.distance(few, others)}


def _seen(judge, some):
    """Features, probabilities and labels of some samples."""
    found = judging.features_and_probabilities(judge, some.pixels, WHITE)
    folders.check_finite(some, found[0])
    return (*found, some.labels)


def warnings(request: Request, told: dict[str, Any]) -> list[str]:
    """What makes a number mean less than it seems to."""
    width, count = told.get("features", 0), told.get("images", 0)
    if "frechet" not in request.metrics or count > width:
        return []
    ((of, bias),) = told["yardstick"].items()
    return [
        f"warning: {count} images span no covariance of {width} features; the Frechet "
        f"distance is far too large ({of} images to the others is {bias:.3g}). Take "
        f"--num={width + 1} or more, better thousands."
    ]
