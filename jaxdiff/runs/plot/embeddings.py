"""The vector in which a network has the time and the label, as maps of similarity.

(1)  emb(t, y) = mean + a(t) + b(y) + rest(t, y)
     a and b are the averages over the other of the two, less the mean. The squares of
     the three parts add up to the variance of emb over t, y and its values.
(2)  cos(a(t), a(t'))   and   cos(b(y), b(y'))

The mean is left out, since it would make all vectors similar. Of n labels that have
nothing to do with one another, cos is then -1 / (n - 1).
"""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff import build
from jaxdiff.plots.maps import Map, save_maps
from jaxdiff.runs.plot.spec import CLASSES, Numbers, PlotRequest, PlotSpec, always

TIMES = (np.arange(50) + 0.5) / 50
NULL = "no label"


class Parts(NamedTuple):
    """of_time f64[t, e], of_label f64[y, e]: a and b of equation 1.

    shares: of the variance, of "time", "label" and "interaction", the rest
    """

    of_time: np.ndarray
    of_label: np.ndarray
    shares: dict[str, float]


def embeddings(request: PlotRequest) -> tuple[list[str], np.ndarray]:
    """The names of the labels, and emb f64[times, labels, e]. Without labels there is
    one, "", and the condition is that of the first example, if the network takes one.
    """
    run, n = request.run, build.num_labels(request.run.config, request.run.source)
    names = [*run.source.class_names][:n] + [NULL] * (
        n > 0 and run.task.null is not None
    )
    size = max(len(names), 1)
    cond = np.tile(np.arange(size, dtype=np.int32), len(TIMES))
    if not n:
        one = run.task.example_cond
        cond = jax.tree.map(lambda a: np.repeat(a, len(TIMES), axis=0), one)
    t = jnp.asarray(np.repeat(TIMES, size), jnp.float32)
    assert run.task.embed, "the spec is for denoisers"
    emb = np.asarray(jax.jit(run.task.embed)(run.params, t, cond), np.float64)
    return names or [""], emb.reshape(len(TIMES), size, -1)


def split(emb: np.ndarray) -> Parts:
    """Equation 1 of f64[t, y, e]."""
    centred = emb - emb.mean((0, 1))
    of_time, of_label = centred.mean(1), centred.mean(0)
    rest = centred - of_time[:, None] - of_label
    powers = {"time": of_time, "label": of_label, "interaction": rest}
    powers = {k: float(np.square(v).mean()) for k, v in powers.items()}
    total = sum(powers.values()) or 1.0
    return Parts(of_time, of_label, {k: v / total for k, v in powers.items()})


def cosines(vectors: np.ndarray) -> np.ndarray:
    """Equation 2: f64[n, e] -> f64[n, n]. A vector of zeros is similar to none, NaN."""
    size = np.sqrt(np.square(vectors).sum(-1, keepdims=True))
    unit = vectors / np.where(size > 0, size, np.nan)
    return unit @ unit.T


def draw_embeddings(request: PlotRequest, path: Path) -> Numbers:
    """Similarity over t and over labels, and the share of each in the variance."""
    names, emb = embeddings(request)
    parts, width = split(emb), emb.shape[-1]
    over_t, over_labels = cosines(parts.of_time), cosines(parts.of_label)
    maps = [Map("the part of the time", over_t, "time t")]
    shares, title = {"time": 1.0}, f"emb, {width} values, without a label"
    if len(names) > 1:
        shown = names if len(names) <= CLASSES + 1 else [""] * len(names)
        maps.append(Map("the part of the label", over_labels, "label", shown))
        shares = parts.shares
        text = ", ".join(f"{k} {v:.1%}" for k, v in shares.items())
        title = f"variance of emb ({width} values) over t and label: {text}"
    save_maps(path, maps, colours="cosine, after the mean is taken off", title=title)
    similar = {"time": over_t, "label": over_labels if len(names) > 1 else []}
    numbers = {"width": width, "t": TIMES, "labels": names, "cosine": similar}
    return {"step": request.run.step, "share_of_variance": shares} | numbers


def _misfit(request: PlotRequest) -> str:
    task, name = request.run.task, request.run.config.model.name
    if not task.embed:
        return "is for one network, and this run has several (diffusion.experts)"
    params = jax.eval_shape(task.init, jax.random.key(0))
    t = jax.ShapeDtypeStruct((1,), jnp.float32)
    if jax.eval_shape(task.embed, params, t, task.example_cond) is not None:
        return ""
    return (
        f"is for networks that embed the time: {name!r} does not, or does not show it "
        "by jaxdiff.models.embeddings.expose"
    )


SPECS = {
    "embeddings": PlotSpec(draw_embeddings, needs=always(("params",)), misfit=_misfit)
}
