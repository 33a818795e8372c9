"""Sampling a run: from its parameters to a folder of files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm.auto import tqdm

from jaxdiff import files
from jaxdiff.arrays import PyTree, require
from jaxdiff.data import given as given_columns
from jaxdiff.data import reading
from jaxdiff.data.given import GivenColumns
from jaxdiff.data.orders import to_show
from jaxdiff.data.source import Source
from jaxdiff.lock import locked
from jaxdiff.metrics import summary
from jaxdiff.plots import conditionals, pictures
from jaxdiff.plots.page import check_inverted, files_of, page
from jaxdiff.plots.saving import save_image
from jaxdiff.runs import shards
from jaxdiff.runs.experiment import Experiment
from jaxdiff.runs.sample import sweep
from jaxdiff.runs.sampler import Sampler
from jaxdiff.runs.shared_pictures import save_samples
from jaxdiff.runs.workdir import KNOWN, NEEDS_KNOWN, check_used

# Samples in a file by default: as many as fit into memory.
SHARD = 10_000
# Samples of one command: their numbers and labels are held in memory.
MOST = 100_000_000
# Images in grid.png, at most; from several files, fewer of each; in a row of a sweep.
MOST_IN_GRID, MOST_OF_FILES, MOST_IN_ROW = 400, 100, 20


class SampleRequest(NamedTuple):
    """What launch.sample does, checked: see `prepare`.

    cond:   of the samples, each leaf leading with num; None without a condition
    record: what the samples depend on, written beside them (shards.py)
    resume: whether the folder has files of the same record already
    """

    run: Experiment
    sampler: Sampler
    cond: PyTree
    num: int
    seed: int
    out: Path
    png: bool
    given: GivenColumns | None
    swept: sweep.Sweep | None
    record: dict[str, Any]
    resume: bool


def prepare(
    run: Experiment,
    *,
    out: Path,
    num: int,
    seed: int = 0,
    label: int | None = None,
    png: bool = False,
    force: bool = False,
    fix: Sequence[str] = (),
    sweeps: Sequence[str] = (),
    shard: int = SHARD,
    keep_complete: bool = False,
) -> SampleRequest:
    """Check everything before any work; the flags of launch.sample explain the rest.

    keep_complete: where all samples of the same request exist, leave them as they are.
    Errors: ValueError, FileNotFoundError.
    """
    require(num >= 1, f"--num must be at least 1, got {num}")
    require(num <= MOST, f"--num must be at most {MOST:,}, got {num}")
    require(shard >= 1, f"--shard must be at least 1, got {shard}")
    source = run.source
    record = {
        **run.made(),
        "num": num,
        "shard": shard,
        "seed": seed,
        "label": label,
        "fix": [*fix],
        "sweep": [*sweeps],
        "png": png,
        "sampler": run.config.sampler.to_dict(),
    }
    if page().invert:
        check_inverted(run.images.shape)
    grid = [file.name for file in files_of(Path("grid.png"))]
    last = grid if source.is_image and num > shard else []
    resume = shards.resumes(out, record, force, keep_complete=keep_complete, last=last)
    require(
        num <= shard or not (fix or sweeps),
        f"--fix and --sweep give one file: --num {num} must be at most --shard {shard}",
    )
    given = _parse_fix(source, fix) if fix else None
    sampler = run.sampler(mask=given.mask if given else None)
    if not fix:
        check_used(run.path, run.config, KNOWN, NEEDS_KNOWN)
    cond = run.conditions(num, label)
    require(not png or source.is_image, "--png is for images; this model makes tables")
    swept = None
    if sweeps:
        require(source.is_image, "--sweep draws images; this model makes tables")
        require(not png, "--png and --sweep do not go together: leave one out")
        swept = sweep.make_sweep(run, sweep.parse(run.config, sweeps))
    return SampleRequest(
        run, sampler, cond, num, seed, out, png, given, swept, record, resume
    )


def _parse_fix(source, texts):
    try:
        return given_columns.parse(source, texts)
    except ValueError as error:
        raise ValueError(f"--fix: {error}") from None


def run(request: SampleRequest) -> np.ndarray:
    """As `draw`, alone in the folder. Errors: ValueError if another process writes."""
    with locked(request.out):
        return draw(request)


def draw(request: SampleRequest) -> np.ndarray:
    """Draw, and write samples.npz, grid.png (for tables samples.csv, pairs.png).

    More than a shard are written as samples-00000.npz and on, one in memory at a time;
    files of the same request are not drawn again. Given columns also give given.png and
    a printed summary.
    Returns: the last samples drawn, f32[n, *shape] in model units.
    """
    shards.prepare_folder(request.out, request.record, request.resume)
    if request.swept:
        return _run_sweep(request, request.swept)
    num, out, source = request.num, request.out, request.run.source
    parts = shards.split(num, request.record["shard"])
    missing = {k: v for k, v in parts.items() if not (out / k).is_file()}
    if len(missing) < len(parts):
        print(f"{len(parts) - len(missing)} of {len(parts)} files exist already")
    x = np.zeros(())
    for name, index in tqdm(missing.items(), "files", disable=len(parts) == 1 or None):
        x = _draw_file(request, out / name, index)
    print(
        f"{num} samples from step {request.run.step}, {request.sampler.nfe()} NFE each,"
        f" in {out}"
    )
    if len(parts) > 1 and source.is_image:
        save_samples(out / "grid.png", source, *_spread(request, MOST_OF_FILES))
    return x


def _draw_file(request: SampleRequest, path: Path, index: np.ndarray) -> np.ndarray:
    """One file of samples and what belongs to it; pictures of all where it has all."""
    run, out, given = request.run, request.out, request.given
    source, cond = run.source, jax.tree.map(lambda a: a[index], request.cond)
    labels = run.labels_of(cond)
    x, values = draw_values(run, request.sampler, request.seed, index, cond, given)
    if given:
        _show_given(out, source, given, values)
    if source.is_image:
        if len(index) == request.num:
            save_samples(out / "grid.png", source, values, labels, MOST_IN_GRID)
        if request.png:
            write_pngs(out, source, values, labels, index)
    else:
        with files.whole(path.with_suffix(".csv")) as part:
            reading.write(part, values)
        if not index[0]:  # of several files the first shows as much as all
            save_samples(out / "pairs.png", source, values, labels)
    arrays = {"values": values} if source.is_image else dict(values)
    shards.write(path, files.beside(arrays, _origin(request, index)))
    return x


def draw_values(
    run: Experiment,
    sampler: Sampler,
    seed: int,
    index: np.ndarray,
    cond: PyTree,
    given: GivenColumns | None = None,
) -> tuple[np.ndarray, Any]:
    """Samples of numbers i64[n]: f32[n, *shape] in model units, and in data units."""
    known = np.repeat(given.values, len(index), axis=0) if given else None
    x = sampler.draw(run.params, seed, index, cond, values=known)
    values = run.source.decode(x)
    return x, given_columns.restore(run.source, given, values) if given else values


def _origin(request, index):
    """What the samples of these numbers come from, for their file."""
    origin: dict[str, Any] = {"seed": np.int64(request.seed), "seeds": index}
    labels = request.run.labels_of(request.cond)
    return origin if labels is None else {**origin, "labels": labels[index]}


def _spread(request, most):
    """Values and labels of up to `most` samples of all classes, from all files."""
    labels, values = request.run.labels_of(request.cond), []
    numbers = np.sort(to_show(request.num, labels, most))
    for _, arrays in shards.read(request.out):
        values.append(arrays["values"][np.isin(arrays["seeds"], numbers)])
    return np.concatenate(values), None if labels is None else labels[numbers]


def _run_sweep(request: SampleRequest, swept: sweep.Sweep) -> np.ndarray:
    """Draw every combination from the same noise; write sheet.png and samples.npz."""
    run, num, out = request.run, request.num, request.out
    index, source = np.arange(num), run.source
    labels = run.labels_of(request.cond)
    x = swept.draw(request.seed, index, request.cond)
    titles = swept.titles()
    print(
        f"{len(titles)} x {num} samples from step {run.step} as one program, "
        f"{swept.nfe()} NFE each, in {out}"
    )
    values = np.stack([source.decode(images) for images in x])
    rows, names = to_show(num, labels, MOST_IN_ROW), source.class_names
    shown = pictures.to_uint8(values[:, rows], source.peak)
    pictures.save_rows(
        out / "sheet.png",
        dict(zip(titles, shown, strict=True)),
        columns=[] if labels is None else [names[k] for k in labels[rows]],
        group=len(titles) // len(set(swept.values[:, 0])),
    )
    numbers = dict(zip(swept.names, swept.values.T, strict=True))
    arrays = {"values": values, **_origin(request, index), **numbers}
    shards.write(out / "samples.npz", arrays)
    return x


def _show_given(out, source, given, values):
    real = given_columns.matching_rows(source, given)
    free = {k: v for k, v in values.items() if k not in given.texts}
    print("\n".join(summary.describe(given.title, free, real)))
    conditionals.save_given(out / "given.png", given.title, free, real)


def write_pngs(
    out: Path,
    source: Source,
    values: np.ndarray,
    labels: np.ndarray | None,
    index: np.ndarray,
) -> None:
    """Each image f32[n, h, w, c] as NUMBER.png or, with labels, NUMBER_CLASS.png."""
    for k, image in enumerate(pictures.to_uint8(values, source.peak)):
        name = f"{index[k]:06d}"
        if labels is not None:
            # "T-shirt/top" is a class, not a folder
            name += "_" + source.class_names[labels[k]].replace("/", "-")
        save_image(out / f"{name}.png", image)
