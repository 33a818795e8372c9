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
from jaxdiff.choices import hint
from jaxdiff.data.batches import permutation
from jaxdiff.data.source import Source
from jaxdiff.metrics import frechet
from jaxdiff.runs import bits, compare, folders, sample, shards
from jaxdiff.runs import judge as judging
from jaxdiff.runs.judge import Judge
from jaxdiff.runs.reference import REFERENCES, features_of_real
from jaxdiff.runs.scores import METRICS, Sides
from jaxdiff.runs.trained import images_of

# The folder of its samples, beside evaluation.json.
SAMPLES = "samples"
# The metric that looks at real data only (bits.py).
BITS = "bits"
# Samples in a file: what a stopped evaluation loses at most.
SHARD = 1000


class Request(NamedTuple):
    """What was asked for, checked: see `prepare`."""

    metrics: list[str]
    source: Source
    sampling: sample.Request | None
    bits: bits.Request | None
    images: folders.Samples | None
    judge: Judge | None
    num_real: int
    seed: int
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
    wanted = _wanted(metrics, source, judge, given, labels is not None)
    seen = [name for name in wanted if name != BITS]
    judged = None
    if judge and seen and source.is_image:
        judged = judging.load_for("--judge", judge, source)
    require(
        0 <= num_real <= len(source),
        f"--num_real must be from 0 (all) to the data's {len(source)}, got {num_real}",
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
    return Request(
        wanted,
        source,
        sampling,
        likely,
        given,
        judged,
        num_real or len(source),
        seed,
        config.data.to_dict(),
        workdir,
        out,
    )


def _wanted(metrics, source, judge, given, labelled):
    """Which metrics: those asked for, or all that fit."""
    known = [*METRICS, BITS]
    for name in metrics:
        require(
            name in known,
            f"--metrics has no {name!r}{hint(name, known)}; there are "
            f"{', '.join(known)}",
        )
    kind = "images" if source.is_image else "tables"
    fitting = [name for name, metric in METRICS.items() if metric.of == kind]
    columns = source.layout.columns if source.layout else ()
    numbers = sum(not column.categories for column in columns)
    known_classes = labelled and not (judge and judging.is_inception(judge))
    for name, metric in METRICS.items():
        if metric.of != kind:
            continue
        why = ""
        if metric.numbers > numbers:
            why = f"{metric.numbers} columns of numbers, the data have {numbers}"
        elif metric.labels and not known_classes:
            why = "images with labels, and a judge that is a classifier of their data"
        if why:
            require(name not in metrics, f"--metrics={name} needs {why}")
            fitting.remove(name)
    wanted = metrics or [*fitting, *([] if given else [BITS])]
    for name in wanted:
        require(
            name == BITS or name in fitting,
            f"--metrics={name} is for {METRICS.get(name, METRICS['frechet']).of}; this "
            f"run makes {kind}",
        )
    seen = [name for name in wanted if name != BITS]
    require(
        judge is not None or not seen or kind == "tables",
        f"--metrics={','.join(seen)} needs --judge=WORKDIR: {judging.WANTED}",
    )
    return wanted


def run(request: Request, command: str) -> list[dict[str, Any]]:
    """Sample, judge, write evaluation.json, and give its rows: metric, value, error."""
    rows: list[dict[str, Any]] = []
    told: dict[str, Any] = {"command": command, "workdir": str(request.workdir)}
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
    (request.out / "evaluation.json").write_text(
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
    index = permutation(0, 0, len(request.source))[: request.num_real]
    real = request.source.decode(request.source[index]["x"])
    made = {k: np.concatenate([part[k] for part in parts]) for k in real}
    return Sides(real, made, None, None, request.seed), told | {"real_rows": len(index)}


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
        judge, source, request.num_real, request.data, request.workdir / REFERENCES
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
    sides = Sides(real, made, probabilities, labels, request.seed, judge.published)
    return sides, told


def _yardstick(real, num):
    """The Frechet distance of as many real images, at most half, to the others."""
    n = min(num, len(real) // 2)
    few, others = frechet.fit(real[:n]), frechet.fit(real[n:])
    return {f"frechet of {n} real": frechet.distance(few, others)}


def _seen(judge, some):
    """Features, probabilities and labels of some samples."""
    found = judging.features_and_probabilities(judge, some.pixels, compare.WHITE)
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
