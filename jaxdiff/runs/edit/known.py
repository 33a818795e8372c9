"""Edits of images of which something is known: most pixels, a small or a grey image."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxdiff.arrays import require
from jaxdiff.choices import choose
from jaxdiff.diffusion import inverse_problems
from jaxdiff.diffusion.inverse_problems import Linear
from jaxdiff.runs.edit.request import EditInputs, EditRequest, EditResult, mean_error

# Weights of red, green and blue in grey (ITU-R BT.601), as in Pillow.
LUMA = np.array([0.299, 0.587, 0.114])


def inpaint(request: EditRequest) -> EditResult:
    """What the mask hides is drawn anew, given the rest, which stays bit for bit."""
    num, hidden, source = request.count(4), request.hidden(), request.source
    known: Any = {"mask": ~hidden}
    if request.method:
        linear = inverse_problems.masked((~hidden).astype(np.float32))
        known = {"mask": linear, "edit": choose(inverse_problems, request.method)()}
    sampler, images = request.run.sampler(**known), request.inputs()
    cond = request.conditions(images)
    # the hidden pixels are not even passed on
    x0 = np.where(hidden, np.float32(0), source.encode(images.values))
    y = np.repeat(x0, num, axis=0)
    x = request.draw(sampler, cond, num, len(x0), values=y)
    covered = np.where(hidden, _checks(source.shape, source.peak), images.values)
    result = request.result(
        images.names,
        cond,
        x,
        before={"image": images.values, "given": covered},
        summary=f"{images.counts(num)}, {hidden.mean():.0%} of each drawn anew, "
        f"{sampler.nfe()} NFE each",
    )
    # through model units and back a pixel may move in its last bit
    exact = np.where(hidden, result.values, images.values[:, None])
    return result._replace(values=exact)


def upscale(request: EditRequest) -> EditResult:
    """Images whose means over squares are the small one's pixels."""
    (h, w, c), k = request.source.shape, request.factor
    pooled = inverse_problems.pooled(k)
    require(
        h % k == 0 and w % k == 0,
        f"--factor={k} does not divide the model's {w}x{h} images",
    )
    images = request.inputs((h // k, w // k, c))
    small = images.values
    if images.from_data:
        small = np.asarray(pooled.apply(jnp.asarray(small)))
    shown = small.repeat(k, axis=1).repeat(k, axis=2)
    y = request.source.encode(small)
    return _solve(request, images, pooled, y, pooled, small, shown)


def colourise(request: EditRequest) -> EditResult:
    """Images in colour whose grey is the given one's."""
    source = request.source
    h, w, c = source.shape
    require(
        c == 3, f"colourise needs a model in colour; this one's images are {w}x{h}x{c}"
    )
    images = request.inputs((h, w, 1))
    to_grey, grey = inverse_problems.grey(LUMA), images.values
    if images.from_data:
        grey = np.asarray(to_grey.apply(jnp.asarray(grey)))
    black, white = (np.broadcast_to(end, (3,)) for end in source.bounds or ())
    # grey is of pixels; each channel of the model has a black and a white of its own
    weights = (LUMA / (white - black)).astype(np.float32)
    y = grey / np.float32(source.peak) + np.float32(weights @ black)
    linear, shown = inverse_problems.grey(weights), grey.repeat(3, axis=-1)
    return _solve(request, images, linear, y, to_grey, grey, shown)


def _solve(
    request: EditRequest,
    images: EditInputs,
    linear: Linear,
    y: np.ndarray,
    measure: Linear,
    given: np.ndarray,
    shown: np.ndarray,
) -> EditResult:
    """Draw images of which a linear measurement is known.

    linear, y: linear(x0) = y f32[n, ...] in model units.
    measure, given: the same in data units.  shown: `given` as f32[n, h, w, c].
    """
    num, edit = request.count(4), choose(inverse_problems, request.method or "pigdm")()
    sampler = request.run.sampler(mask=linear, edit=edit)
    cond = request.conditions(images)
    x = request.draw(sampler, cond, num, len(y), values=np.repeat(y, num, axis=0))
    result = request.result(images.names, cond, x, before={"given": shown})
    flat = jnp.asarray(result.values.reshape(-1, *request.source.shape))
    gap = np.asarray(measure.apply(flat)) - np.repeat(given, num, axis=0)
    return result._replace(
        after={"truth": images.values} if images.from_data else {},
        summary=f"{images.counts(num)}, {sampler.nfe()} NFE each, "
        f"{mean_error(request.source, gap):.4f} off the given (black to white is 2)",
    )


def _checks(shape, peak):
    """A chequered board in greys, which cannot be mistaken for a part of an image."""
    y, x, _ = np.indices(shape)
    return np.where((y + x) % 2, 0.4, 0.6).astype(np.float32) * np.float32(peak)
