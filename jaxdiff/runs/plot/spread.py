"""Small noises add up: the chain of small steps reaches q(x_t) in one formula.

(1)  x_t = alpha_ts x_s + sqrt(beta_ts) z,   t one step after s    posterior.py, eq. 1
(2)  q(x_t | x0) = N(alpha_t x0, sigma_t^2)
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff import rng
from jaxdiff.arrays import Array, Float, Key
from jaxdiff.diffusion.posterior import posterior
from jaxdiff.diffusion.types import Schedule
from jaxdiff.plots import walks
from jaxdiff.runs.plot.spec import Numbers, PlotRequest, PlotSpec

# Steps of the chain, walkers, and the times that are shown.
STEPS, WALKERS = 1000, 2000
TIMES = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
# The one x0 from which all walkers start, in model units.
START = (1.5, 1.0)


def draw_spread(request: PlotRequest, path: Path) -> Numbers:
    """Walkers of the chain in the plane, beside circles of 1 and 2 sigma_t."""
    schedule, num = request.run.schedule, request.num or WALKERS
    ts, start = jnp.linspace(0.0, 1.0, STEPS + 1), jnp.array(START)
    x = np.asarray(walk(schedule, ts, start, request.keys(np.arange(num))))
    steps = [round(t * STEPS) for t in TIMES]
    alpha = np.asarray(schedule.alpha(ts[jnp.array(steps)]))
    sigma = np.asarray(schedule.sigma(ts[jnp.array(steps)]))
    centres = alpha[:, None] * np.array(START)
    measured = np.sqrt(np.square(x[steps] - centres[:, None]).mean(axis=(1, 2)))
    titles = [
        f"t = {t:g}, step {k}\nstd {m:.3f}, exact {s:.3f}"
        for t, k, m, s in zip(TIMES, steps, measured, sigma, strict=True)
    ]
    spec = request.run.config.diffusion.schedule
    title = f"{num:,} walkers from one x0, {STEPS:,} small steps: {spec}"
    walks.save_walks(path, x, steps, centres, sigma, titles=titles, title=title)
    return {
        "t": TIMES,
        "start": START,
        "walkers": num,
        "seed": request.seed,
        "mean": x[steps].mean(axis=1),
        "exact_mean": centres,
        "std": measured,
        "exact_std": sigma,
    }


@jax.jit
def walk(
    schedule: Schedule,
    ts: Float[Array, "n"],
    start: Float[Array, "d"],
    keys: Key[Array, "b"],
) -> Float[Array, "n b d"]:
    """The chain of equation 1 along rising times, of a walker for each key."""

    def step(x, times):
        k, s, t = times
        keep = schedule.alpha(t) / jnp.where(s > 0, schedule.alpha(s), 1.0)
        z = rng.draw(jax.random.normal, rng.fold(keys, k), start.shape)
        x = keep * x + jnp.sqrt(posterior(schedule, t, s).large) * z
        return x, x

    x0 = jnp.broadcast_to(start, (len(keys), *start.shape))
    _, xs = jax.lax.scan(step, x0, (jnp.arange(len(ts) - 1), ts[:-1], ts[1:]))
    return jnp.concatenate([x0[None], xs])


def _odd_noise(request: PlotRequest) -> str:
    noise = request.run.config.diffusion.noise
    if noise.startswith("normal"):
        return ""
    return f"is for normal noise, whose sums are normal; this config's is {noise!r}"


SPECS = {"spread": PlotSpec(draw_spread, misfit=_odd_noise)}
