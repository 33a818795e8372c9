"""Editing images with a trained run: all kinds by name, and what they write."""

import numpy as np

from jaxdiff.arrays import require
from jaxdiff.choices import hint
from jaxdiff.lock import locked
from jaxdiff.plots import pictures
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
# Rows of edit.png, and results in each, at most.
MOST = 16
# The first and the last file of an edit.
RESULT, PICTURE = "edited.npz", "edit.png"


def run(kind: str, request: EditRequest, force: bool = False) -> EditResult:
    """Check everything, then edit and write.

    Errors: ValueError, FileNotFoundError, before any work.
    """
    require(kind in KINDS, f"no edit {kind!r}{hint(kind, KINDS)}")
    unfinished = (request.out / RESULT).exists() and not (
        request.out / PICTURE
    ).exists()
    workdir.check_out(request.out, force or unfinished)
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
    if kind != "inpaint":
        run = request.run
        workdir.check_used(run.path, run.config, workdir.KNOWN, workdir.NEEDS_KNOWN)
    with locked(request.out):
        result = KINDS[kind](request)
        _write(request, result)
    return result


def _write(request: EditRequest, result: EditResult) -> None:
    """edited.npz, edit.png and with --png each result; prints the summary."""
    out, source = request.out, request.source
    n, k = result.values.shape[:2]
    out.mkdir(parents=True, exist_ok=True)
    arrays = {
        "values": result.values.reshape(-1, *source.shape),
        "seed": np.int64(request.seed),
        "seeds": np.arange(n * k),
        "images": np.repeat(result.rows, k),
    }
    shards.write(out / RESULT, arrays | result.saved)
    pixels = pictures.to_uint8(result.values, source.peak)
    if request.png:
        for i, image in enumerate(pixels.reshape(-1, *source.shape)):
            save_image(out / f"{i:06d}.png", image)
    before, after = (
        [pictures.to_uint8(column[:, None], source.peak) for column in part.values()]
        for part in (result.before, result.after)
    )
    strips = np.concatenate([*before, pixels[:, :MOST], *after], axis=1)[:MOST]
    pictures.save_rows(
        out / PICTURE,
        dict(zip(result.rows, strips, strict=False)),
        columns=[*result.before, *result.names[:MOST], *result.after],
    )
    print(f"{result.summary}, in {out}")
