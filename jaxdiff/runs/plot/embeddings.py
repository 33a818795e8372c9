"""The vector in which a network has the time and the label, as maps of similarity.

Both are what the embedding depends on, without its mean: metrics/similarity.py, eq. 1
and 2.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff import build
from jaxdiff.metrics.similarity import cosines, split
from jaxdiff.plots.maps import Map, save_maps
from jaxdiff.runs.plot.spec import CLASSES, Numbers, PlotRequest, PlotSpec, always

TIMES = (np.arange(50) + 0.5) / 50
NULL = "no label"


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


def draw_embeddings(request: PlotRequest, path: Path) -> Numbers:
    """Similarity over t and over labels, and the share of each in the variance."""
    names, emb = embeddings(request)
    parts, width = split(emb), emb.shape[-1]
    over_t, over_labels = cosines(parts.of_time), cosines(parts.of_label)
    maps = [Map("dependence on time", over_t, "time t")]
    shares, title = {"time": 1.0}, f"emb, {width} values, without a label"
    if len(names) > 1:
        shown = names if len(names) <= CLASSES + 1 else [""] * len(names)
        maps.append(Map("dependence on label", over_labels, "label", shown))
        shares = parts.shares
        text = ", ".join(f"{k} {v:.1%}" for k, v in shares.items())
        title = f"variance of emb ({width} values) over t and label: {text}"
    save_maps(path, maps, colours="cosine similarity, mean subtracted", title=title)
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
    "embeddings": PlotSpec(
        draw_embeddings, needs=always(("params",)), takes=(), misfit=_misfit
    )
}
