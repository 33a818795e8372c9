"""Inversion: the noise from which a sampler would make a given image.

A sampler that draws no noise follows an ODE, and an ODE can be followed backwards:

(1)  0 = t_n < t_{n-1} < ... < t_0                     the sampler's times, rising
(2)  x <- alpha x0 + sigma eps(alpha x0, t_{n-1})      the first step, off the data
(3)  x <- step(x, t_i, t_{i-1})                        every other step, by any solver

No solver can start at sigma = 0, hence the first step (2). The sampler's last step
returns x0(x, t_{n-1}), so inverting it means to solve x0(x, t_{n-1}) = x0; (2) is one
iteration of that. For data of variance v, with u = sigma^2 / (alpha^2 v), the sampler's
last step then returns x0 (1 - u^2 + ...). If x started at alpha x0 without noise, the
last step would return x0 (1 - u + ...), and x would have too little noise at t_{n-1}
and at every time above.

The result is distributed like the noise if the denoiser fits the distribution of the
data: that excludes guidance, and clipping wherever it changes anything.

Source: Song et al. 2021, arXiv:2010.02502, section 5.4, for DDIM; Shoemake 1985 for
`slerp`.
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
    """The solver draws noise, which cannot be recovered from the end of its path."""


def invert(
    denoise: Denoise,
    solver: Solver,
    schedule: Schedule,
    ts: Float[np.ndarray, "times"],
    x0: Float[Array, "b ..."],
    cond: PyTree = None,
) -> Float[Array, "b ..."]:
    """The noise x_T from which `sampling.sample`, down the same ts, returns to x0.

    Args:    ts: the sampler's times, falling to 0.  x0: f[b, ...] in model units.
             cond: passed to the denoiser.
    Returns: x_T, f[b, ...].
    Errors:  see `check_reversible`.
    """
    check_reversible(solver, schedule, ts)
    up = jnp.asarray(ts[::-1], x0.dtype)
    seeds = jax.random.split(jax.random.key(0), len(x0))  # nothing is drawn
    return sampling.run_along(seeds, denoise, upwards(solver, schedule), up, x0, cond)


def upwards(solver: Solver, schedule: Schedule) -> Solver:
    """The solver for rising times that start at 0, the data: equations 2 and 3.

    Returns: Solver that makes one denoiser call in the first step, and in every other
             step as many as `solver` makes.
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
        # where t = 0 the result is not used; at s it is finite
        return solver.step(denoise, noise, x, where(t, s), s, state)

    return where_any(t <= 0, leave, where_any(t > 0, climb, (x, state)))


def check_reversible(
    solver: Solver, schedule: Schedule, ts: Float[np.ndarray, "times"]
) -> None:
    """Check that a run of the solver down `ts` can be inverted.

    Errors: ValueError if the grid starts in pure noise, and IrreversibleSolverError if
            the solver draws noise.
    """
    # solvers of higher order step in sigma / alpha, which is infinite at alpha = 0
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
    """Whether the end of a run down `ts` depends on anything but its start.

    The solver is run twice, from the same number and with two different keys. If it
    draws noise anywhere, the two ends differ.
    """
    x, keys = jnp.ones((2, 1)), jax.random.split(jax.random.key(0), 2)
    down = jnp.asarray(ts, x.dtype)
    ends = sampling.sample(keys, Partial(_unit, schedule), solver, down, x)
    # the two may round differently; noise differs by far more
    return not bool(jnp.allclose(*ends, rtol=1e-5, atol=1e-6, equal_nan=True))


def _unit(schedule: Schedule, x: Array, t: Times, cond: PyTree) -> Denoised:
    """E[x0 | x_t] for data of N(0, 1), which neither forgets nor amplifies noise."""
    del cond
    alpha, sigma = (expand(f(t), x) for f in (schedule.alpha, schedule.sigma))
    return Denoised(alpha / (alpha**2 + sigma**2) * x, jnp.zeros_like(x))


def slerp(
    a: Float[Array, "*shape"], b: Float[Array, "*shape"], share: float | Array
) -> Float[Array, "*shape"]:
    """Spherical interpolation between a and b, which are at the angle w.

    sin((1 - share) w) / sin(w) a + sin(share w) / sin(w) b

    Between two noises this is again a noise, whereas a straight mean would be too
    short. Where a and b are parallel, the straight mean is returned.

    Args:    share: 0 gives a, 1 gives b.
    Returns: f[*shape] like a.
    """
    cosine = jnp.vdot(a, b) / (jnp.linalg.norm(a) * jnp.linalg.norm(b))
    angle = jnp.arccos(jnp.clip(cosine, -1.0, 1.0))
    straight = jnp.sin(angle) < 1e-6
    safe = jnp.where(straight, 1.0, jnp.sin(angle))
    of_a = jnp.where(straight, 1 - share, jnp.sin((1 - share) * angle) / safe)
    of_b = jnp.where(straight, share, jnp.sin(share * angle) / safe)
    return of_a * a + of_b * b
