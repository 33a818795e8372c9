"""Edits of which something is known: all pixels but some, small images, grey ones."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxdiff.arrays import require
from jaxdiff.choices import choose
from jaxdiff.diffusion import inverse_problems
from jaxdiff.runs.edit import inputs as starting
from jaxdiff.runs.edit.request import (
    Ask,
    Work,
    as_edited,
    calls,
    counted,
    draw,
    mean_error,
    repeated,
)

# How much red, green and blue count in grey (ITU-R BT.601), as in Pillow.
LUMA = np.array([0.299, 0.587, 0.114])


def inpaint(ask: Ask) -> Work:
    """What the mask shows is drawn anew, given the rest, which stays bit for bit."""
    num = ask.count(4)
    require(ask.mask, "--mask is missing: which part shall be drawn anew?")
    shape = ask.source.shape
    anew = np.broadcast_to(starting.read_mask(ask.mask, shape)[..., None], shape)
    known: Any = {"mask": ~anew}
    if ask.method:
        linear = inverse_problems.masked((~anew).astype(np.float32))
        known = {"mask": linear, "edit": choose(inverse_problems, ask.method)()}
    sampler, given = ask.sampler(**known), ask.originals()
    labels = ask.labels(given.labels, len(given.values))

    def work():
        # the hidden part is nowhere looked at: it is not even passed on
        y = repeated(np.where(anew, np.float32(0), ask.encoded(given)), num)
        x = draw(ask, sampler, labels, num, len(given.values), values=y)
        edited = as_edited(ask, given.names, labels, x)
        hidden = np.where(anew, _checks(shape, ask.source.peak), given.values)
        return edited._replace(
            # through model units and back a pixel may move in its last bit
            values=np.where(anew, edited.values, given.values[:, None]),
            before={"image": given.values, "given": hidden},
            said=f"{counted(given, num)}, {anew.mean():.0%} of each drawn anew, "
            + calls(sampler),
        )

    return work


def upscale(ask: Ask) -> Work:
    """Images whose means over squares are the small one's pixels."""
    h, w, c = ask.source.shape
    linear = inverse_problems.pooled(ask.factor)
    k = ask.factor
    require(
        h % k == 0 and w % k == 0,
        f"--factor={k} does not divide the model's {w}x{h} images",
    )
    whole = ask.originals((h // k, w // k, c))
    small = whole.values
    if whole.own:
        small = np.asarray(linear.apply(jnp.asarray(small)))
    shown = small.repeat(k, axis=1).repeat(k, axis=2)
    y = ask.source.encode(small)
    return _solved(ask, whole, linear, y, small, linear, shown)


def colourise(ask: Ask) -> Work:
    """Images in colour whose grey is the given one's."""
    h, w, c = ask.source.shape
    require(
        c == 3, f"colourise needs a model in colour; this one's images are {w}x{h}x{c}"
    )
    whole = ask.originals((h, w, 1))
    seen, grey = inverse_problems.grey(LUMA), whole.values
    if whole.own:
        grey = np.asarray(seen.apply(jnp.asarray(grey)))
    black, white = (np.broadcast_to(end, (3,)) for end in ask.source.bounds or ())
    # grey is of pixels; each channel of the model has a black and a white of its own
    weights = (LUMA / (white - black)).astype(np.float32)
    y = grey / np.float32(ask.source.peak) + np.float32(weights @ black)
    linear = inverse_problems.grey(weights)
    return _solved(ask, whole, linear, y, grey, seen, grey.repeat(3, axis=-1))


def _solved(ask, whole, linear, y, given, seen, shown):
    """An inverse problem: y f32[n, ...] is known of the images, in model units.

    In data units that is `given`, which is seen of images by the Linear `seen`, and
    f32[n, h, w, c] shown for people.
    """
    num, edit = ask.count(4), choose(inverse_problems, ask.method or "pigdm")()
    sampler, n = ask.sampler(mask=linear, edit=edit), len(y)
    labels = ask.labels(whole.labels, n)

    def work():
        x = draw(ask, sampler, labels, num, n, values=repeated(y, num))
        edited = as_edited(ask, whole.names, labels, x)
        flat = jnp.asarray(edited.values.reshape(-1, *ask.source.shape))
        gap = np.asarray(seen.apply(flat)) - repeated(given, num)
        return edited._replace(
            before={"given": shown},
            after={"truth": whole.values} if whole.own else {},
            said=f"{counted(whole, num)}, {calls(sampler)}, "
            f"{mean_error(ask.source, gap):.4f} off the given (black to white is 2)",
        )

    return work


def _checks(shape, peak):
    """A chequered board in greys, which no image is taken for."""
    y, x, _ = np.indices(shape)
    return np.where((y + x) % 2, 0.4, 0.6).astype(np.float32) * np.float32(peak)


KINDS = {"inpaint": inpaint, "upscale": upscale, "colourise": colourise}
