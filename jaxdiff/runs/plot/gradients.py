"""The gradient that classifier guidance adds to the score, as images.

(1)  g = grad log p(y | x_t)                        guidance.py, eq. 2
(2)  x0 + scale sigma^2 / alpha g                   the guided estimate; x0 is that of
                                                    the image's class, by guidance 1
(3)  x_t + STEP rms(x_t) g / rms(g)                 an adversarial example, if y is not
                                                    the class of x0

Source: Goodfellow et al. 2015, arXiv:1412.6572, for (3), with another norm.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxdiff import build, rng, schema
from jaxdiff.arrays import Array
from jaxdiff.diffusion import guidance
from jaxdiff.metrics.averages import average
from jaxdiff.metrics.similarity import correlation
from jaxdiff.plots import pictures
from jaxdiff.plots.signed import signed_pixels
from jaxdiff.runs.plot.diffusion import corrupt
from jaxdiff.runs.plot.spec import (
    Numbers,
    PlotRequest,
    PlotSpec,
    always,
    in_strip,
    is_upsampler,
    real_images,
)

TIMES, SCALES = np.array([0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95]), (1.0, 4.0, 10.0)
# Images shown, and those that the numbers are averages of; the length of (3).
SHOWN, MEASURED, STEP = 3, 60, 0.1
MOVED = f"x_t moved along it by {100 * STEP:g} % of its RMS"
# What the guided estimate depends on, of config.sampler.
READ = ("ema", "classifier", "clip", "quantile")

# The model without guidance of its own, and the scale of equation 2.
UNGUIDED: dict[str, Any] = {"guidance": 1.0, "weak": "", "classifier_form": "score"}


class Gradients(NamedTuple):
    """At each of TIMES, of n images in model units.

    labels, targets: i32[n], the classes of the images, and y
    x_t, gradient, moved: f32[t, n, h, w, c], the last by equation 3
    x0:     f32[1 + scales, t, n, h, w, c], the estimate, then guided by SCALES
    log_p:  f32[2, t, n], log p(y) of x_t and of `moved`, in nats
    clean, noise: f32[n, h, w, c], what x_t is made of
    """

    labels: np.ndarray
    targets: np.ndarray
    x_t: np.ndarray
    gradient: np.ndarray
    moved: np.ndarray
    x0: np.ndarray
    log_p: np.ndarray
    clean: np.ndarray
    noise: np.ndarray


def gradients(request: PlotRequest, num: int) -> Gradients:
    """Of `num` images of every class in turn, y their own class or request.label."""
    some = replace(request, num=num)
    run, (clean, labels, keys) = request.run, real_images(some, most=num)
    assert labels is not None
    y = labels if request.target is None else np.full_like(labels, request.target)
    x_t, logits = corrupt(run, clean, keys, TIMES), run.classifier.model.logits
    ts, targets = jnp.asarray(TIMES, jnp.float32), jnp.asarray(y, jnp.int32)
    results = [_gradient(logits, x, t, targets) for x, t in zip(x_t, ts, strict=True)]
    gradient, log_p = (np.stack(part) for part in zip(*results, strict=True))
    moved = x_t + STEP * _rms(x_t) * gradient / np.maximum(_rms(gradient), 1e-30)
    after = [
        _gradient(logits, x, t, targets)[1] for x, t in zip(moved, ts, strict=True)
    ]
    given = jnp.asarray(labels) if build.num_labels(run.config, run.source) else None
    model, x0 = Partial(_of_class, run.model, given), []
    for scale in (0.0, *SCALES):
        fields = {**UNGUIDED, "classifier_scale": scale}
        denoise = run.with_sampler(**fields).sampler().wrap(model)
        x0.append([_x0(denoise, x, t, targets) for x, t in zip(x_t, ts, strict=True)])
    noise = rng.draw(build.make_noise(run.config), keys, clean.shape[1:])
    log_ps = np.stack([log_p, np.stack(after)])
    parts = x_t, gradient, moved, np.asarray(x0), log_ps, clean, np.asarray(noise)
    return Gradients(labels, y, *parts)


def draw_gradients(request: PlotRequest, path: Path) -> Numbers:
    """Images at rising noise, the gradient, and what it makes of the estimate of x0."""
    run, shown = request.run, min(request.num or SHOWN, request.most)
    g = gradients(request, max(shown, MEASURED))
    numbers = _numbers(g)
    rows, names = _rows(request, g, shown), run.source.class_names
    y = "the image's class" if request.target is None else names[request.target]
    columns = [f"t = {t:.2g}" for t in TIMES]
    how = {"columns": columns, "group": len(rows) // shown, "cell": 0.7}
    pictures.save_rows(path, rows, title=_title(numbers, y), **how)
    classes = [names[k] for k in g.labels[:shown]]
    how = {"seed": request.seed, "classes": classes, "y": y, "scales": SCALES}
    how |= {"classifier": run.config.sampler.classifier, "step": run.step}
    return how | {k: UNGUIDED[k] for k in ("guidance", "classifier_form")} | numbers


def _title(numbers, y):
    r = {k: v["value"] for k, v in numbers["correlation"].items()}
    before, after = (numbers[k]["value"] for k in ("probability", "probability_moved"))
    places = (0, len(TIMES) // 2)
    rises = [f"{before[i]:.2f} to {after[i]:.2f} at t = {TIMES[i]}" for i in places]
    return (
        f"gradient of log p(y | x_t), y: {y}\n"
        "blue < 0 < red, over its largest value\n"
        "correlation of neighbouring pixels: "
        f"{r['gradient'][0]:.2f} at t = {TIMES[0]}\n"
        f"to {r['gradient'][-1]:.2f} at t = {TIMES[-1]}; images {r['x0'][0]:.2f}, "
        f"white noise {r['noise'][0]:.2f}\n"
        f"{MOVED}: p(y) from\n{', from '.join(rises)}"
    )


def _rows(request, g, shown):
    pixels, colours = request.run.pixels, signed_pixels(g.gradient)[0]
    names, rows = request.names("image", g.labels, shown), {}
    for i, name in enumerate(names):
        one = {f"{name}: x_t": g.x_t[:, i], f"x0 of x_t, {i + 1}": g.x0[0, :, i]}
        one = {k: pixels(v) for k, v in one.items()}
        one[f"gradient, {i + 1}"] = colours[:, i]
        for scale, x0 in zip(SCALES, g.x0[1:], strict=True):
            one[f"guided x0, scale {scale:g}, {i + 1}"] = pixels(x0[:, i])
        one[f"x_t moved along it, {i + 1}"] = pixels(g.moved[:, i])
        rows |= one
    return rows


def _numbers(g: Gradients) -> Numbers:
    """Averages over the images, at each of TIMES where they depend on it."""

    def over(values):
        return [average(row)._asdict() for row in np.atleast_2d(values)]

    still = {"x0": g.clean, "noise": g.noise}
    moving = {"gradient": g.gradient, "estimate": g.x0[0], "x_t": g.x_t}
    before, after = np.exp(g.log_p)
    r = {k: over(correlation(v)) for k, v in {**moving, **still}.items()}
    return {
        "t": TIMES,
        "images": len(g.labels),
        "correlation": {k: _columns(v) for k, v in r.items()},
        "probability": _columns(over(before)),
        "moved_by": STEP,
        "probability_moved": _columns(over(after)),
        "largest": signed_pixels(g.gradient)[1],
    }


def _columns(rows):
    return {k: [row[k] for row in rows] for k in rows[0]}


def _rms(x: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(x).mean((-3, -2, -1), keepdims=True))


@jax.jit
def _gradient(logits, x_t, t, labels) -> tuple[Array, Array]:
    return guidance.log_p_grad(logits, x_t, t, labels)


def _of_class(model, labels, x_t, t, cond):
    return model(x_t, t, labels)


@jax.jit
def _x0(denoise, x_t, t, cond) -> Array:
    return denoise(x_t, t, cond).x0


def _misfit(request: PlotRequest) -> str:
    config = request.run.config
    if not config.sampler.classifier:
        return "needs --config.sampler.classifier=WORKDIR, a classifier of noisy data"
    if config.data.name == "latents":
        return "is for models of images, not of codes"
    return is_upsampler(request)


SPECS = {
    "gradients": PlotSpec(
        draw_gradients,
        data=("images",),
        needs=always(("sampler",)),
        takes=("num", "seed", "label"),
        num=in_strip,
        sets=tuple(name for name in schema.FIELDS["sampler"] if name not in READ),
        misfit=_misfit,
        pixels=True,
    )
}
