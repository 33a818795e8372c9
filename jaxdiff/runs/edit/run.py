"""Editing images with a trained run: all kinds by name, and what they write."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from jaxdiff.arrays import require
from jaxdiff.choices import hint
from jaxdiff.data.source import Source
from jaxdiff.lock import locked
from jaxdiff.plots import pictures
from jaxdiff.plots.page import files_of
from jaxdiff.plots.saving import save_image
from jaxdiff.runs import shards, workdir
from jaxdiff.runs.edit import invert, known
from jaxdiff.runs.edit.request import EditRequest, EditResult

# A kind checks its request before it draws anything.
KINDS = {
    "vary": invert.vary,
    "inpaint": known.inpaint,
    "upscale": known.upscale,
    "colourise": known.colourise,
    "invert": invert.invert,
    "interpolate": invert.interpolate,
}
# Arguments that only some kinds take.
ONLY = {
    "num": ("vary", "inpaint", "upscale", "colourise", "interpolate"),
    "strength": ("vary",),
    "mask": ("inpaint",),
    "factor": ("upscale",),
    "every": ("invert",),
    "nfe": ("invert",),
    "method": ("inpaint", "upscale", "colourise"),
}
# Rows of edit.png, and results in each, at most.
MOST = 16
# The first and the last file of an edit.
RESULT, PICTURE = "edited.npz", "edit.png"


def check_taken(kind: str, given: Iterable[str], flag: str = "--") -> None:
    """ValueError for an argument that is given to a kind which does not take it.

    flag: what its name begins with.
    """
    require(kind in KINDS, f"no edit {kind!r}{hint(kind, KINDS)}")
    for name in given:
        kinds = ONLY[name]
        require(
            kind in kinds, f"{flag}{name} is for {', '.join(kinds)}, and not for {kind}"
        )


def run(
    kind: str, request: EditRequest, out: Path | None = None, force: bool = False
) -> EditResult:
    """Check everything, then edit and, with `out`, write.

    Errors: ValueError, FileNotFoundError, before any work.
    """
    require(kind in KINDS, f"no edit {kind!r}{hint(kind, KINDS)}")
    if out:
        last = files_of(out / PICTURE)
        unfinished = (out / RESULT).exists() and not all(f.exists() for f in last)
        workdir.check_out(out, force or unfinished)
    source = request.source
    require(
        source.is_image and source.bounds is not None,
        "launch.edit is for models of pixels; this one's data are "
        + ("codes of images" if source.is_image else "tables (launch.sample --fix)"),
    )
    require(
        not request.run.is_upsampler,
        "launch.edit is for models that make images by themselves; this run enlarges "
        "the images of another run: edit with that one",
    )
    if kind != "inpaint" or request.method:
        run, why = request.run, workdir.NEEDS_KNOWN
        why = (
            f"does not count with --method={request.method}" if request.method else why
        )
        workdir.check_used(run.path, run.config, workdir.KNOWN, why)
    if not out:
        return KINDS[kind](request)
    with locked(out):
        result = KINDS[kind](request)
        _write(request, result, out)
    return result


def _write(request: EditRequest, result: EditResult, out: Path) -> None:
    """Both files, and with --png each result between them; prints the summary."""
    out.mkdir(parents=True, exist_ok=True)
    save_arrays(out / RESULT, request, result)
    if request.png:
        for old in out.glob("[0-9]" * 6 + ".png"):  # of an edit with more results
            old.unlink()
        pixels = pictures.to_uint8(result.values, request.source.peak)
        for i, image in enumerate(pixels.reshape(-1, *request.source.shape)):
            save_image(out / f"{i:06d}.png", image)
    save_picture(out / PICTURE, request.source, result)
    print(f"{result.summary}, in {out}")


def save_arrays(path: Path, request: EditRequest, result: EditResult) -> None:
    """The results, f32[n k, h, w, c] in data units, and what they come from."""
    n, k = result.values.shape[:2]
    arrays = {
        "values": result.values.reshape(-1, *request.source.shape),
        "seed": np.int64(request.seed),
        "seeds": np.arange(n * k),
        "images": np.repeat(result.rows, k),
    }
    shards.write(path, arrays | result.saved)


def save_picture(path: Path, source: Source, result: EditResult) -> None:
    """Rows of an image, its results, and what belongs beside them."""
    pixels = pictures.to_uint8(result.values, source.peak)
    before, after = (
        [pictures.to_uint8(column[:, None], source.peak) for column in part.values()]
        for part in (result.before, result.after)
    )
    strips = np.concatenate([*before, pixels[:, :MOST], *after], axis=1)[:MOST]
    pictures.save_rows(
        path,
        dict(zip(result.rows, strips, strict=False)),
        columns=[*result.before, *result.names[:MOST], *result.after],
    )
