"""Folders of samples side by side: pictures, and how far each is from the data."""

import json
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from jaxdiff.arrays import require
from jaxdiff.metrics import frechet
from jaxdiff.runs import workdir as files
from jaxdiff.runs.evaluate import features as judging
from jaxdiff.runs.evaluate import folders as folders_of
from jaxdiff.runs.evaluate import metrics as scores
from jaxdiff.runs.evaluate import reference, sheet
from jaxdiff.runs.evaluate.features import Judge
from jaxdiff.runs.evaluate.folders import Samples
from jaxdiff.runs.experiment import images_of, make_source

# Real images that the picture may choose from.
SHOWN = 512


class Request(NamedTuple):
    """What launch.compare was asked for, checked: see `prepare`.

    index: i64[m], the real images in the order they are looked at
    """

    judge: Judge
    samples: list[Samples]
    index: np.ndarray
    label: int | None
    seed: int
    out: Path


def prepare(
    folders: list[Path],
    judge: Path,
    *,
    out: Path,
    data: Path | None = None,
    label: int | None,
    num_real: int | None,
    seed: int,
    force: bool,
) -> Request:
    """Check everything and read the samples, before any work.

    data: the run whose data are the real images, for a judge that has none.
    Errors: ValueError, FileNotFoundError.
    """
    require(
        len({f.resolve() for f in folders}) == len(folders), "a folder is given twice"
    )
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder} of samples")
    files.check_out(out, force)
    alone = judging.is_inception(judge)
    require(
        alone == (data is not None),
        f"--judge={judge} has no data of its own: give --data=WORKDIR, any run of the "
        "data that the images are to be like"
        if alone
        else f"--data={data}: --judge={judge} compares with its own data; leave it out",
    )
    real = None
    if data:
        config = files.load_config(data)
        real = images_of(config, make_source(config))
    judged = judging.load_judge(judge, real)
    source = judged.source
    if label is not None:
        require(source.num_classes, f"--label {label}: the real images have no labels")
        names = ", ".join(f"{i} {n}" for i, n in enumerate(source.class_names))
        require(
            0 <= label < source.num_classes,
            f"--label must be from 0 to {source.num_classes - 1}, got {label}; "
            f"classes: {names}",
        )
    samples = [folders_of.read(folder, source) for folder in folders]
    if label is not None:
        samples = [folders_of.of_class(some, label) for some in samples]
    for some in samples:
        require(
            len(some.pixels) >= 2,
            f"{some.folder} holds {len(some.pixels)} image of those asked for; a "
            "covariance needs at least 2, and many more to mean something",
        )
    index = reference.real_order(source, label, num_real, seed)
    return Request(judged, samples, index, label, seed, out)


def run(request: Request, command: str) -> list[dict[str, Any]]:
    """Judge, write compare.png and compare.json, and print a table; returns its rows.

    command: what was typed, to be kept beside the figures.
    """
    judge, samples, index, label, seed, out = request
    seen = [judging.features(judge, some.pixels, reference.WHITE) for some in samples]
    for some, features in zip(samples, seen, strict=True):
        folders_of.check_finite(some, features)
    most, width = max(map(len, seen)), seen[0].shape[1]
    counts = [min(len(some), len(index) // 2) for some in seen]
    real = look_at_real(judge, index, {*counts}, most)
    rows = []
    for some, features, count in zip(samples, seen, counts, strict=True):
        rows.append(
            {
                "folder": str(some.folder),
                "images": len(features),
                "frechet": frechet.distance(frechet.fit(features), real.whole),
                "frechet_of_real": frechet.distance(*real.splits[count]),
                "images_of_real": count,
                **scores.kernel_distance(features, real.few, seed, judge.published),
                "own_label": own_label(judge, some),
                "resized": some.resized,
            }
        )
    names = judge.source.class_names
    table = {
        "command": command,
        "judge": str(judge.folder),
        "judge_step": judge.step,
        "features": width,
        "real_images": len(index),
        "label": None if label is None else f"{label} {names[label]}",
        "seed": seed,
        "pixels": "real and generated alike rounded to 8 bits",
        "rows": rows,
    }
    out.mkdir(parents=True, exist_ok=True)
    x = judge.source[index[:SHOWN]]
    shown = Samples(
        Path(), reference.real_pixels(judge.source, x["x"]), x.get("label"), "", ()
    )
    distances = [row["frechet"] for row in rows]
    title = names[label] if label is not None else ""
    sheet.save(out / "compare.png", shown, samples, distances, names, title)
    (out / "compare.json").write_text(json.dumps(table, indent=2) + "\n")
    print("\n".join([*text(table), *warnings(table), f"written: {out}"]))
    return rows


class Real(NamedTuple):
    """splits: n -> moments of the first n real images, and of the others
    whole:  of all of them
    few:    f32[m, d], the features of the first
    """

    splits: dict[int, tuple[frechet.Moments, frechet.Moments]]
    whole: frechet.Moments
    few: np.ndarray


def look_at_real(judge: Judge, index: np.ndarray, counts: set[int], few: int) -> Real:
    """One pass over the real images: see `Real`; `few` is the most features kept."""
    ends, kept = sorted(counts), []

    def features(part):
        for at in range(0, len(part), reference.BATCH):
            x = judge.source[part[at : at + reference.BATCH]]["x"]
            seen = judging.features(
                judge, reference.real_pixels(judge.source, x), reference.WHITE
            )
            kept.append(seen[: max(0, few - sum(map(len, kept)))])
            bar.update(len(seen))
            yield seen

    with tqdm(total=len(index), desc="real images", unit="img", disable=None) as bar:
        cuts = zip([0, *ends], [*ends, len(index)], strict=True)
        between = [frechet.gather(features(index[a:b])) for a, b in cuts]
    upto = [*accumulate(between, frechet.merge)]
    after = [*accumulate(between[::-1], frechet.merge)][::-1]
    splits = {n: (upto[i], after[i + 1]) for i, n in enumerate(ends)}
    return Real(splits, upto[-1], np.concatenate(kept))


def own_label(judge: Judge, samples: Samples) -> float | None:
    """Share of images that the judge gives their own label; None without labels, or
    for a judge of other classes.
    """
    if samples.labels is None or judge.published:
        return None
    said = judging.labels(judge, samples.pixels, reference.WHITE)
    return float((said == samples.labels).mean())


def text(table: dict[str, Any]) -> list[str]:
    """The lines that are printed: a table, and what its columns are."""
    cells = [
        ["folder", "images", "Frechet", "of real", "kernel", "own label"],
        *(
            [
                row["folder"],
                str(row["images"]),
                f"{row['frechet']:.4g}",
                f"{row['frechet_of_real']:.4g}",
                "-"
                if row["kernel"] is None
                else f"{row['kernel']:.3g} +- {row['kernel_error']:.2g}",
                "-" if row["own_label"] is None else f"{row['own_label']:.3f}",
            ]
            for row in table["rows"]
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    step = table["judge_step"]
    at_step = "" if step is None else f" at step {step}"
    what = "real images" if table["label"] is None else f"real {table['label']!r}"
    return [
        *(
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in cells
        ),
        f"Distances to {table['real_images']} {what}, in {table['features']} features "
        f"of {table['judge']}{at_step}; {table['pixels']}.",
        "of real: as many real images (at most half of them) against the others.",
        *(
            f"{row['folder']}: {row['resized']}."
            for row in table["rows"]
            if row["resized"]
        ),
    ]


def warnings(table: dict[str, Any]) -> list[str]:
    """What makes a Frechet distance mean less than it seems to."""
    d, counts = table["features"], [row["images"] for row in table["rows"]]
    least = min(*counts, table["real_images"])
    said = []
    if least <= d:
        said.append(
            f"warning: {least} images span no covariance of {d} features; the Frechet "
            f"distance is far too large. Take {d + 1} or more, better thousands."
        )
    if len({*counts}) > 1:
        said.append(
            "warning: the Frechet distance falls as images are added; compare folders "
            "of the same number, or read the kernel distance, which does not."
        )
    return said
