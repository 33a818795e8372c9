"""UniPC: a predictor with a corrector that costs no further denoiser call."""

from typing import NamedTuple

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, require
from jaxdiff.diffusion.levels import half_log_snr, level
from jaxdiff.diffusion.moves import (
    Past,
    denoise_at,
    make_memory,
    mean_over,
    move,
    remember,
)
from jaxdiff.diffusion.sampling import make_solver
from jaxdiff.diffusion.types import (
    BoundDenoise,
    Schedule,
    Solver,
    SolverInit,
    StepNoise,
)

ORDER = 3


class State(NamedTuple):
    """Where the last step began, and the estimates so far.

    x:    f[b, ...] at the beginning of the last step
    t:    f[b, 1, ..., 1], its time
    past: the estimates of x0, that at (x, t) newest
    """

    x: Array
    t: Array
    past: Past


def make(schedule: Schedule, *, order: int = 2) -> Solver:
    """The estimate of x0 at x_s first corrects the step that led to s.

    x0 <- mean over the step in lam, weighted by e^lam, of the polynomial through the
    newest `order` estimates. The polynomial of the corrector also goes through the
    estimate at the end of the step. With two points, the mean is the value half way
    (B(h) = e^h - 1, the variant "bh2").

    Args:    schedule: the one the denoiser was trained with.
             order: that of the predictor, 1 to 3; the corrector's is one higher.
    Returns: Solver that remembers `order` estimates, one denoiser call a step. The
             first steps and the step to 0 have lower order.
    Errors:  ValueError for another order.
    Source:  Zhao et al. 2023, arXiv:2302.04867, algorithms 5 and 6 in data prediction.
    """
    require(1 <= order <= 3, f"order must be from 1 to 3, got {order=}")
    return make_solver(Partial(_step, schedule), Partial(_init, make_memory(order)))


def _init(memory: SolverInit, x: Array) -> State:
    past = memory(x)
    return State(x, jnp.ones(past.count.shape, x.dtype), past)


def _step(
    schedule: Schedule,
    denoise: BoundDenoise,
    noise: StepNoise,
    x: Array,
    t: Array,
    s: Array,
    state: State,
) -> tuple[Array, State]:
    del noise
    x, x0 = denoise_at(denoise, schedule, x, t)
    here, there = level(schedule, t), level(schedule, s)
    lam, to = half_log_snr(here), half_log_snr(there)
    begun = state.past.count > 0
    corrected = _mean(state.past, lam, x0)
    again = move(state.x, corrected, level(schedule, state.t), here)
    x = jnp.where(begun, again, x)
    past = remember(state.past, x0, lam)
    mean = jnp.where(there[1] > 0, _mean(past, to, None), x0)
    t = jnp.broadcast_to(t, state.t.shape)
    return move(x, mean, here, there), State(x, t, past)


def _mean(past: Past, to: Array, new: Array | None) -> Array:
    # with two points the mean is the value half way, which is a = 0
    points = past.count + (new is not None)
    a = jnp.where(points == 2, 0.0, to - past.nodes[0])
    return mean_over(past, to, a, new)
