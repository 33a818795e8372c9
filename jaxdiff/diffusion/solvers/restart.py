"""Restart sampling: noise is added again, and the same steps are repeated."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, Int, PyTree, expand, require
from jaxdiff.diffusion import grids
from jaxdiff.diffusion.levels import half_log_snr, level, time_at
from jaxdiff.diffusion.moves import Where, where_any
from jaxdiff.diffusion.posterior import posterior
from jaxdiff.diffusion.sampling import make_solver
from jaxdiff.diffusion.solvers import heun
from jaxdiff.diffusion.types import BoundDenoise, Schedule, Solver, StepNoise

ORDER = 2
GRID = grids.exponential

# Repeats, and steps in each: what costs a hundred thousand calls gains nothing.
MOST = 10_000


def make(
    schedule: Schedule,
    *,
    low: float | Float[Array, ""] = 0.06,
    high: float | Float[Array, ""] = 0.3,
    repeats: int = 2,
    num_steps: int = 4,
    rho: float | Float[Array, ""] = 7.0,
) -> Solver:
    """Heun's method, which goes back up to `high` when it first reaches `low`.

    The noise added on the way up removes errors accumulated on the way down.

    Args:    schedule: the one the denoiser was trained with.
             low, high: of sigma / alpha. After the first step that ends at low or
             below, noise is added up to high, and `num_steps` Karras steps with this
             rho lead down again; this is done `repeats` times.
    Returns: Solver without memory. It makes two denoiser calls a step, as heun, and
             about 2 repeats num_steps more at the restart.
    Errors:  ValueError unless 0 < low < high, repeats >= 1 and num_steps >= 1.
    Source:  Xu et al. 2023, arXiv:2306.14878, algorithm 1 with one interval.
    """
    require((low > 0) & (low < high), f"need 0 < low < high, got {low=}, {high=}")
    require(
        1 <= repeats <= MOST and 1 <= num_steps <= MOST,
        f"repeats and num_steps must be at least 1 and at most {MOST}, got {repeats=}, "
        f"{num_steps=}",
    )
    inner, interval = heun.make(schedule), (low, high, rho)
    # the numbers are kept as shapes, because the length of a scan is static
    counts = jnp.arange(repeats), jnp.linspace(0, 1, num_steps + 1)
    step = Partial(_step, schedule, inner, interval, counts)
    return make_solver(step, inner.init)


def _step(
    schedule: Schedule,
    inner: Solver,
    interval: tuple[float | Array, float | Array, float | Array],
    counts: tuple[Int[Array, "repeats"], Float[Array, "places"]],
    denoise: BoundDenoise,
    noise: StepNoise,
    x: Array,
    t: Array,
    s: Array,
    state: PyTree,
) -> tuple[Array, PyTree]:
    low, high, rho = interval
    repeats, places = counts
    x, state = inner.step(denoise, noise, x, t, s, state)
    ratio_t, ratio_s = (jnp.exp(-half_log_snr(level(schedule, u))) for u in (t, s))
    # no restart from s = 0: sigma / alpha = 0 is not on the schedule
    crosses = (ratio_s <= low) & (low < ratio_t) & (s > 0)
    bottom = jnp.where(crosses, ratio_s, low)[None]
    places = expand(places, bottom)
    root = high ** (1 / rho) + places * (bottom ** (1 / rho) - high ** (1 / rho))
    ts = time_at(schedule, -rho * jnp.log(root))
    ts = ts.at[-1].set(jnp.where(crosses, s, ts[-1]))

    def once(x: Array, count: Array) -> tuple[Array, None]:
        draw = partial(noise, count + 1)
        keep = schedule.alpha(ts[0]) / schedule.alpha(ts[-1])
        x = keep * x + jnp.sqrt(posterior(schedule, ts[0], ts[-1]).large) * draw()

        def down(x: Array, pair: tuple[Array, Array]) -> tuple[Array, None]:
            return inner.step(denoise, draw, x, *pair, state)[0], None

        return jax.lax.scan(down, x, (ts[:-1], ts[1:]))[0], None

    def again(where: Where) -> Array:
        del where
        return jax.lax.scan(once, x, repeats)[0]

    return where_any(crosses, again, x), state
