"""Folders of samples side by side: pictures, and how far each is from the data."""

from pathlib import Path
from typing import Any, NamedTuple

from jaxdiff.arrays import require
from jaxdiff.data.folder import Pictures
from jaxdiff.data.source import Source
from jaxdiff.files import write_json
from jaxdiff.interop import tensors
from jaxdiff.lock import locked
from jaxdiff.metrics import frechet
from jaxdiff.metrics.titles import directions, title
from jaxdiff.plots.sheets import Sheet, save_sheets
from jaxdiff.runs import workdir as files
from jaxdiff.runs.evaluate import folders
from jaxdiff.runs.evaluate.features import Reference, load_extractor, to_pixels

# Real images that the picture may choose from.
SHOWN = 512


class Request(NamedTuple):
    """What launch.compare does, checked: see `prepare`."""

    reference: Reference
    samples: list[Pictures]
    out: Path


def prepare(
    paths: list[Path],
    features: Path,
    *,
    out: Path,
    data: Source | None = None,
    label: str | None,
    num_real: int | None,
    seed: int,
    force: bool,
    trust: bool = False,
) -> Request:
    """Check everything and read the samples, before any work.

    data: the real images, for Inception; a trained classifier has data of its own.
    Errors: ValueError, FileNotFoundError.
    """
    require(len({p.resolve() for p in paths}) == len(paths), "a folder is given twice")
    for path in paths:
        if not path.is_dir():
            raise FileNotFoundError(f"there is no folder {path} of samples")
    files.check_out(out, force)
    require(
        tensors.is_weights(features) == (data is not None),
        f"--features={features} has no data of its own: give --data=WORKDIR, any run "
        "of the data that the images are to be like"
        if data is None
        else f"--features={features} compares with its own data; leave out --data",
    )
    extractor = load_extractor(features, data, trust=trust)
    source = extractor.source
    number = None if label is None else source.class_of(label)
    samples = [folders.read(path, source) for path in paths]
    if number is not None:
        samples = [folders.of_class(some, number) for some in samples]
    for some in samples:
        require(
            len(some.pixels) >= 2,
            f"{some.folder} has {len(some.pixels)} such image; a covariance needs at "
            "least 2, and many more to mean something",
        )
    sizes = tuple(len(some.pixels) for some in samples)
    reference = Reference(extractor, source, num_real, number, seed, sizes=sizes)
    _ = reference.index  # refuses more real images than there are
    return Request(reference, samples, out)


def run(request: Request, command: str) -> list[dict[str, Any]]:
    """Write compare.png and compare.json, and print a table; returns its rows.

    command: what was typed, to be kept beside the figures.
    """
    reference, samples, out = request
    features = [reference.features(some.pixels) for some in samples]
    pairs = [*zip(samples, features, strict=True)]
    for pair in pairs:
        folders.check_finite(*pair)
    rows = [_row(reference, *pair) for pair in pairs]
    label, names = reference.label, reference.source.class_names
    table = {
        "command": command,
        **reference.record,
        "label": None if label is None else f"{label} {names[label]}",
        "seed": reference.seed,
        "rows": rows,
    }
    with locked(out):
        _save_picture(out / "compare.png", reference, samples, rows)
        write_json(out / "compare.json", table)
    print("\n".join([*text(table), *warnings(table), f"written: {out}"]))
    return rows


def _row(reference, samples, features):
    n, baseline = reference.real_to_real(len(features))
    extractor, labels, accuracy = reference.extractor, samples.labels, None
    if labels is not None and not extractor.published:  # else its classes are others
        accuracy = float((extractor.labels(samples.pixels) == labels).mean())
    return {
        "folder": str(samples.folder),
        "images": len(features),
        **reference.distance(features, reference.seed),
        "real_to_real": baseline,
        "real_to_real_images": n,
        "label_accuracy": accuracy,
        "resized": samples.resized,
    }


def text(table: dict[str, Any]) -> list[str]:
    """The lines that are printed: a table, and what its columns are."""
    header = ["folder", "images", "Frechet", "real-to-real", "KID", "label accuracy"]
    cells = [header, *map(_cells, table["rows"])]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    step = table["extractor_step"]
    at_step = "" if step is None else f" at step {step}"
    what = "real images" if table["label"] is None else f"real {table['label']!r}"
    return [
        *(
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in cells
        ),
        f"Distances to {table['real_images']} {what}, in {table['features']} features "
        f"of {table['extractor']}{at_step}; {table['pixels']}.",
        directions("frechet", "kid", "label_accuracy") + ".",
        "real-to-real: the baseline of as many real images (at most half of them) "
        "against the others.",
        *(
            f"{row['folder']}: {row['resized']}."
            for row in table["rows"]
            if row["resized"]
        ),
    ]


def _cells(row):
    kid, accuracy = row["kid"], row["label_accuracy"]
    return [
        row["folder"],
        str(row["images"]),
        f"{row['frechet']:.4g}",
        f"{row['real_to_real']:.4g}",
        "-" if kid is None else f"{kid:.3g} +- {row['kid_error']:.2g}",
        "-" if accuracy is None else f"{accuracy:.3f}",
    ]


def warnings(table: dict[str, Any]) -> list[str]:
    """What makes a Frechet distance mean less than it seems to."""
    counts = [row["images"] for row in table["rows"]]
    few = frechet.too_few(min(*counts, table["real_images"]), table["features"])
    lines = [few] if few else []
    if len({*counts}) > 1:
        lines.append(
            "warning: the Frechet distance falls as images are added; compare folders "
            "of the same number, or read KID, which does not."
        )
    return lines


def _save_picture(path, reference, samples, rows):
    """Real images, and below them each folder's, with its name and Frechet distance."""
    source, label = reference.source, reference.label
    batch = source[reference.index[:SHOWN]]
    labels = source.labels_of(batch)
    real = Sheet("real data", to_pixels(source, batch["x"]), labels)
    short = [some.folder.name for some in samples]
    if len({*short}) < len(short):
        short = [str(some.folder) for some in samples]
    sheets = [real]
    for name, some, row in zip(short, samples, rows, strict=True):
        resized = some.resized.split(", ") if some.resized else []
        name += f"\n{title('frechet').short} {row['frechet']:.4g}"
        name = "\n".join([name, *resized])
        sheets.append(Sheet(name, some.pixels, some.labels))
    name = "" if label is None else source.class_names[label]
    save_sheets(path, sheets, source.class_names, name)
