"""What guidance samples, where the truth is known: clusters in the plane.

Guidance at scale w follows the gradient of log p(x) + w log p(y | x) at every noise
level. Many take its samples for those of p(x) p(y | x)^w. That holds for w = 0 and 1
alone: to add noise and to raise to a power do not commute. Both densities are computed.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff import rng
from jaxdiff.diffusion import clusters, grids, guidance, sampling, schedules, solvers
from jaxdiff.diffusion.clusters import Clusters
from jaxdiff.files import write_json
from jaxdiff.plots import densities

# Class 0 has three clusters, of which one lies within class 1 and one at its border.
LAW = Clusters(
    weights=np.array([0.2, 0.2, 0.15, 0.25, 0.2]),
    means=np.array([[-1.2, 0.7], [-0.6, -0.9], [0.55, 0.35], [0.9, 0.7], [0.9, -0.8]]),
    stds=np.array([0.22, 0.25, 0.2, 0.3, 0.25]),
    classes=np.array([[1, 1, 1, 0, 0], [0, 0, 0, 1, 1]], bool),
)
SCALES = (0.0, 1.0, 2.0, 4.0)
CLASS, STEPS, COUNT, CHUNK = 0, 60, 200_000, 50_000
# The plane in cells: from -REACH to REACH in each direction.
REACH, CELLS = 2.2, 64


def bench_guidance(out: Path) -> list[dict[str, Any]]:
    """One row per scale; writes guidance.png and guidance.json to `out`.

    Columns: the total variation between the samples and p(x) p(y | x)^w; the same of as
    many exact samples, the least that can be measured; the share of samples that the
    classifier gives the class; how many clusters of the class are left, as the
    exponential of the entropy of their shares; the standard deviation. The last three
    also of p(x) p(y | x)^w, "exact".
    """
    out.mkdir(parents=True, exist_ok=True)
    exact = {w: tilted(w) for w in SCALES}
    drawn = {w: histogram(samples(w)) for w in SCALES}
    rows = [_row(w, exact[w], drawn[w]) for w in SCALES]
    titles = [f"w = {w:g}" for w in SCALES]
    distances = [f"total variation {row['total variation']:.3f}" for row in rows]
    densities.save_densities(
        out / "guidance.png",
        {
            "p(x) p(y | x)^w": (titles, [*exact.values()]),
            "samples, guided by w": (distances, [*drawn.values()]),
        },
        reach=REACH,
    )
    write_json(out / "guidance.json", rows)
    return rows


def samples(scale: float) -> np.ndarray:
    """Points f32[COUNT, 2], by the exact denoiser and classifier, by dpmpp_2m."""
    schedule = schedules.cosine()
    logits = clusters.make_class_logits(LAW, schedule)
    free = clusters.make_class_denoise(LAW, schedule)
    denoise = guidance.classifier(
        guidance.unconditional(free, jnp.asarray(-1)), logits, schedule, scale
    )
    solver = solvers.dpmpp_2m.make(schedule)
    ts = jnp.asarray(grids.log_snr(schedule, STEPS), jnp.float32)

    @jax.jit
    def draw(index):
        seeds = rng.split_by(jax.random.key(0), index)
        x_T = jax.vmap(lambda key: jax.random.normal(key, (2,)))(seeds)
        cond = jnp.full(len(index), CLASS)
        return sampling.sample(seeds, denoise, solver, ts, x_T, cond)

    starts = range(0, COUNT, CHUNK)
    return np.concatenate([draw(jnp.arange(i, i + CHUNK)) for i in starts])


def centres() -> np.ndarray:
    """Of the cells, f64[CELLS, CELLS, 2]: (y, x) -> (x, y)."""
    at = (np.arange(CELLS) + 0.5) / CELLS * 2 * REACH - REACH
    return np.stack(np.meshgrid(at, at), axis=-1)


def tilted(scale: float) -> np.ndarray:
    """The probability of each cell under p(x) p(y | x)^scale, f64[CELLS, CELLS]."""
    joint = _log_joint(centres())
    whole = np.logaddexp.reduce(joint, axis=-1)
    given = np.logaddexp.reduce(joint[..., LAW.classes[CLASS]], axis=-1) - whole
    log_p = whole + scale * given
    p = np.exp(log_p - log_p.max())
    return p / p.sum()


def _log_joint(x):
    """log p(i, x) of each cluster, f64[..., k]."""
    gaps = np.square(x[..., None, :] - LAW.means).sum(axis=-1)
    return np.log(LAW.weights / (2 * np.pi * LAW.stds**2)) - gaps / (2 * LAW.stds**2)


def histogram(x: np.ndarray) -> np.ndarray:
    """The share of points in each cell."""
    edges = np.linspace(-REACH, REACH, CELLS + 1)
    counts, _, _ = np.histogram2d(x[:, 1], x[:, 0], bins=(edges, edges))
    return counts / len(x)


def total_variation(p: np.ndarray, q: np.ndarray) -> float:
    """Half of sum |p - q|, in [0, 1]; what lies outside of the cells counts too."""
    inside = 0.5 * np.abs(p - q).sum()
    return float(inside + 0.5 * abs(p.sum() - q.sum()))


def _row(scale, exact, drawn):
    ideal = np.random.default_rng(0).multinomial(COUNT, exact.ravel() / exact.sum())
    row = {"w": scale, "total variation": total_variation(exact, drawn)}
    row["of exact samples"] = total_variation(exact, ideal.reshape(exact.shape) / COUNT)
    for name, p in (("", drawn), (", exact", exact)):
        row |= {f"{k}{name}": v for k, v in _variety(p).items()}
    return row


def _variety(p):
    """Of a density on the cells."""
    joint, p = _log_joint(centres()), p / p.sum()
    shares = np.exp(
        joint - np.logaddexp.reduce(joint, axis=-1, keepdims=True)
    )  # (y, x, k)
    of = (p[..., None] * shares).sum(axis=(0, 1))[LAW.classes[CLASS]]
    left = of / of.sum()
    mean = (p[..., None] * centres()).sum(axis=(0, 1))
    variance = (p[..., None] * np.square(centres() - mean)).sum()
    return {
        "label accuracy": float(of.sum()),
        "clusters left": float(np.exp(-(left * np.log(left)).sum())),
        "standard deviation": float(np.sqrt(variance)),
    }
