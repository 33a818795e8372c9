"""Restart sampling: back to more noise, and down again."""

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff import rng
from jaxdiff.arrays import Array, Float, require
from jaxdiff.diffusion.moves import half_log_snr, scaled_noise, time_at
from jaxdiff.diffusion.posterior import posterior
from jaxdiff.diffusion.sampling import Solver
from jaxdiff.diffusion.schedules import Schedule, level
from jaxdiff.diffusion.solvers import heun

ORDER = 2


def make(
    schedule: Schedule,
    *,
    low: float | Float[Array, ""] = 0.06,
    high: float | Float[Array, ""] = 0.3,
    repeats: int = 2,
    num_steps: int = 4,
    rho: float | Float[Array, ""] = 7.0,
) -> Solver:
    """Heun's method, which once passes low, then goes up to high and down again.

    The noise of each way up forgets errors that the way down had gathered.

    Args:    schedule: the one the denoiser was trained with.
             low, high: sigma / alpha. The first step that ends at low or below is
             followed by `repeats` ways up from there to high, and down in `num_steps`
             of Karras' steps with this rho.
    Returns: Solver without memory, two denoiser calls a step as heun, and about
             2 repeats num_steps for the ways down.
    Errors:  ValueError unless 0 < low < high, and for less than one repeat or step.
    Source:  Xu et al. 2023, arXiv:2306.14878, algorithm 1 with one interval.
    """
    require((low > 0) & (low < high), f"need 0 < low < high, got {low=}, {high=}")
    require(
        repeats >= 1 and num_steps >= 1,
        f"repeats and num_steps must be at least 1, got {repeats=}, {num_steps=}",
    )
    inner, way = heun.make(schedule), (low, high, rho)
    # as shapes: a scan has a length that is known, so that calls can be counted
    counts = jnp.arange(repeats), jnp.linspace(0, 1, num_steps + 1)
    return Solver(inner.init, Partial(_step, schedule, inner, way, counts))


def _step(schedule, inner, way, counts, denoise, keys, x, t, s, state):
    low, high, rho = way
    repeats, places = counts
    x, state = inner.step(denoise, keys, x, t, s, state)
    ratio_t, ratio_s = (jnp.exp(-half_log_snr(level(schedule, u))) for u in (t, s))
    # to data itself there is no way back up that a schedule could name
    crosses = (ratio_s <= low) & (low < ratio_t) & (s > 0)
    bottom = jnp.where(crosses, ratio_s, low)
    root = high ** (1 / rho) + places * (bottom ** (1 / rho) - high ** (1 / rho))
    ts = time_at(schedule, -rho * jnp.log(root)).at[-1].set(jnp.where(crosses, s, 0.5))

    def once(x, count):
        own = rng.fold(keys, count + 1)
        keep = schedule.alpha(ts[0]) / schedule.alpha(ts[-1])
        x = keep * x + scaled_noise(
            own, x, jnp.sqrt(posterior(schedule, ts[0], ts[-1]).large)
        )

        def down(x, pair):
            return inner.step(denoise, own, x, *pair, state)[0], None

        return jax.lax.scan(down, x, (ts[:-1], ts[1:]))[0], None

    def again(x):
        return jax.lax.scan(once, x, repeats)[0]

    return jax.lax.cond(crosses, again, lambda x: x, x), state
