"""Inversion: the noise that an image comes from, by the solvers that sample.

A sampler that draws no noise follows an ODE, which can be followed both ways:

(1)  t_n = 0 < t_{n-1} < ... < t_0    the sampler's own times, now rising
(2)  x <- alpha x0 + sigma eps(alpha x0, t_{n-1})   off the data, where no solver starts
(3)  x <- step(x, t_i, t_{i-1})                      any solver, `step` as it is

(2) is one round of solving x0(x, t_{n-1}) = x0, since the sampler's last step returns
x0(x, t_{n-1}). For data of variance v, with u = sigma^2 / (alpha^2 v), it returns
x0 (1 - u^2 + ...). From x = alpha x0 alone, without noise, it would return
x0 (1 - u + ...): x would have less noise than t_{n-1} has, at every time above too.

The result has the law of the noise if the denoiser has that of the data: without
guidance, that is, and with no clipping that changes anything.

Source: Song et al. 2021, arXiv:2010.02502, section 5.4, there for DDIM; Shoemake 1985
for the interpolation.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, PyTree, expand, require
from jaxdiff.diffusion import sampling
from jaxdiff.diffusion.denoisers import noise_of
from jaxdiff.diffusion.levels import level
from jaxdiff.diffusion.moves import Where, where_any
from jaxdiff.diffusion.sampling import make_solver
from jaxdiff.diffusion.types import (
    BoundDenoise,
    Denoise,
    Denoised,
    Schedule,
    Solver,
    StepNoise,
    Times,
)


class IrreversibleSolverError(ValueError):
    """The solver draws noise, which cannot be recovered from where it ends."""


def invert(
    denoise: Denoise,
    solver: Solver,
    schedule: Schedule,
    ts: Float[np.ndarray, "times"],
    x0: Float[Array, "b ..."],
    cond: PyTree = None,
) -> Float[Array, "b ..."]:
    """x_T, from which `sampling.sample` down the same ts comes back to x0.

    Args:   ts: falling to 0, as a sampler's.  x0: in model units.
            cond: passed to the denoiser.
    Errors: those of `check_reversible`.
    """
    check_reversible(solver, schedule, ts)
    up = jnp.asarray(ts[::-1], x0.dtype)
    seeds = jax.random.split(jax.random.key(0), len(x0))  # of which nothing is drawn
    return sampling.sample(seeds, denoise, upwards(solver, schedule), up, x0, cond)


def upwards(solver: Solver, schedule: Schedule) -> Solver:
    """The solver for rising times that start at 0, at the data: equations 2 and 3.

    One denoiser call in the first step, and then as many as the solver makes.
    """
    return make_solver(Partial(_step, solver, schedule), solver.init)


def _step(
    solver: Solver,
    schedule: Schedule,
    denoise: BoundDenoise,
    noise: StepNoise,
    x: Array,
    t: Array,
    s: Array,
    state: PyTree,
) -> tuple[Array, PyTree]:
    def leave(where: Where) -> tuple[Array, PyTree]:
        del where
        alpha, sigma = level(schedule, s)
        y = alpha * x
        return y + sigma * noise_of(denoise(y, s), y, alpha, sigma), state

    def climb(where: Where) -> tuple[Array, PyTree]:
        # the others stay at s, where there is noise
        return solver.step(denoise, noise, x, where(t, s), s, state)

    return where_any(t <= 0, leave, where_any(t > 0, climb, (x, state)))


def check_reversible(
    solver: Solver, schedule: Schedule, ts: Float[np.ndarray, "times"]
) -> None:
    """Check that a run down `ts` can be inverted.

    Errors: ValueError for a grid that starts in pure noise, and
            IrreversibleSolverError for a solver that draws noise.
    """
    # sigma / alpha, in which higher orders step, is infinite there
    require(
        float(schedule.alpha(jnp.asarray(ts[0]))) > 0,
        f"the grid starts at t={ts[0]:g} in pure noise, alpha = 0, where an image "
        "leaves no trace that could be followed; start just below with "
        "--config.sampler.grid=log_snr",
    )
    if draws_noise(solver, schedule, ts):
        raise IrreversibleSolverError(
            "this solver draws noise on its way and cannot be inverted; use one that "
            "does not: --config.sampler.solver=heun, or ddim(eta=0.0)"
        )


def draws_noise(
    solver: Solver, schedule: Schedule, ts: Float[np.ndarray, "times"]
) -> bool:
    """Whether the end of a run down `ts` depends on more than its start.

    The solver is run twice, from the same number and with two keys: if it draws noise
    anywhere, the two ends differ.
    """
    x, keys = jnp.ones((2, 1)), jax.random.split(jax.random.key(0), 2)
    down = jnp.asarray(ts, x.dtype)
    ends = sampling.sample(keys, Partial(_unit, schedule), solver, down, x)
    return not bool(jnp.array_equal(ends[0], ends[1], equal_nan=True))


def _unit(schedule: Schedule, x: Array, t: Times, cond: PyTree) -> Denoised:
    """E[x0 | x_t] of a unit normal, which neither forgets a noise nor amplifies it."""
    del cond
    alpha, sigma = (expand(f(t), x) for f in (schedule.alpha, schedule.sigma))
    return Denoised(alpha / (alpha**2 + sigma**2) * x, jnp.zeros_like(x))


def slerp(
    a: Float[Array, "*shape"], b: Float[Array, "*shape"], share: float | Array
) -> Float[Array, "*shape"]:
    """sin((1 - share) w) / sin w a + sin(share w) / sin w b,  w the angle between them.

    Of two noises also a noise, whose length a straight mean would lose; the straight
    mean where they are parallel.

    Args: share: 0 gives a, 1 gives b.
    """
    cosine = jnp.vdot(a, b) / (jnp.linalg.norm(a) * jnp.linalg.norm(b))
    angle = jnp.arccos(jnp.clip(cosine, -1.0, 1.0))
    straight = jnp.sin(angle) < 1e-6
    safe = jnp.where(straight, 1.0, jnp.sin(angle))
    of_a = jnp.where(straight, 1 - share, jnp.sin((1 - share) * angle) / safe)
    of_b = jnp.where(straight, share, jnp.sin(share * angle) / safe)
    return of_a * a + of_b * b
