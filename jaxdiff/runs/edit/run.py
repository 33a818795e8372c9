"""Editing images with a trained run: noised and sampled again; and all kinds by name.

A kind checks all that it is asked before any work, and gives back the work.
"""

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from jaxdiff import build, rng
from jaxdiff.arrays import require
from jaxdiff.choices import hint
from jaxdiff.diffusion import sampling
from jaxdiff.plots import pictures
from jaxdiff.runs import shards
from jaxdiff.runs import workdir as files
from jaxdiff.runs.edit import invert as edit_ways
from jaxdiff.runs.edit import known as edit_known
from jaxdiff.runs.edit.request import (
    Ask,
    Edited,
    Work,
    as_edited,
    calls,
    counted,
    draw,
    repeated,
)

# Rows of edit.png, and results in each, at most.
MOST = 16


def prepare(kind: str, ask: Ask, force: bool = False) -> Work:
    """Check everything before any work. Errors: ValueError, FileNotFoundError."""
    require(kind in KINDS, f"no edit {kind!r}{hint(kind, KINDS)}")
    files.check_out(ask.out, force)
    config, source = ask.config, ask.source
    require(
        source.is_image and source.bounds is not None,
        "launch.edit is for models of pixels; this one's data are "
        + ("codes of images" if source.is_image else "tables (launch.sample --fix)"),
    )
    require(
        not config.diffusion.low_size,
        "launch.edit is for models that make images by themselves; this run enlarges "
        "those of another, which may be edited",
    )
    return KINDS[kind](ask)


def write(ask: Ask, edited: Edited) -> None:
    """edited.npz, edit.png and with --png each result; says what was done."""
    out, source = ask.out, ask.source
    n, k = edited.values.shape[:2]
    out.mkdir(parents=True, exist_ok=True)
    arrays = {
        "values": edited.values.reshape(-1, *source.shape),
        "seed": np.int64(ask.seed),
        "seeds": np.arange(n * k),
        "images": np.repeat(edited.rows, k),
    }
    shards.write(out / "edited.npz", arrays | edited.saved)
    pixels = pictures.to_uint8(edited.values, source.peak)
    sides = [
        [pictures.to_uint8(column[:, None], source.peak) for column in part.values()]
        for part in (edited.before, edited.after)
    ]
    strips = np.concatenate([*sides[0], pixels[:, :MOST], *sides[1]], axis=1)[:MOST]
    pictures.save_rows(
        out / "edit.png",
        dict(zip(edited.rows, strips, strict=False)),
        columns=[*edited.before, *edited.names[:MOST], *edited.after],
    )
    if ask.png:
        for i, image in enumerate(pixels.reshape(-1, *source.shape)):
            Image.fromarray(pictures.squeeze(image)).save(out / f"{i:06d}.png")
    print(f"{edited.said}, in {out}")


def vary(ask: Ask) -> Work:
    """Noised to a time and sampled down from there (SDEdit, arXiv:2108.01073)."""
    num, strength = ask.count(4), ask.strength
    require(0 < strength <= 1, f"--strength must be above 0, at most 1, got {strength}")
    schedule, noise = build.make_schedule(ask.config), build.make_noise(ask.config)
    times = build.make_grid(ask.config)
    ts = times[times <= strength + 1e-9]
    require(
        len(ts) > 1,
        f"--strength={strength} is below the sampler's last time, {times[-2]:.2g}, so "
        "that nothing would be done; ask for more",
    )
    sampler = ask.sampler(route=lambda solver, _: (solver, ts))
    given = ask.originals()
    labels = ask.labels(given.labels, len(given.values))

    def work():
        n, x0 = len(given.values), repeated(ask.encoded(given), num)
        keys = rng.split_by(jax.random.key(ask.seed), jnp.arange(len(x0)))
        at = {"schedule": schedule, "noise": noise, "t": float(ts[0])}
        z = sampling.init_noise(keys, ask.source.shape, **at)
        x_T = np.asarray(schedule.alpha(jnp.float32(ts[0])) * x0 + z)
        x = draw(ask, sampler, labels, num, n, x_T=x_T)
        return as_edited(ask, given.names, labels, x)._replace(
            before={"image": given.values},
            said=f"{counted(given, num)} from t={ts[0]:.2g}, {calls(sampler)}",
        )

    return work


KINDS = {"vary": vary, **edit_known.KINDS, **edit_ways.KINDS}
