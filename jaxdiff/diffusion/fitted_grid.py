"""A step grid fitted to a denoiser and a solver: `jax.jacfwd` through the sampler.

(1)  t_i = 1 - (w_0 + ... + w_i),  w = softmax(z) of n + 1 shares;  t_n = 0
(2)  loss(z) = mean |x(z) - x*|^2,  x the sample down the times of z, x* the end of the
     path of the same noise, down many even steps by Heun's method

A few steps cannot follow the path; they can end near where it ends. z begins at the
best of the known grids, and quasi-Newton steps (L-BFGS) lower the loss over a fixed
set of paths. Measure the result on others.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize

from jaxdiff.arrays import Array, Float, Key, PyTree
from jaxdiff.diffusion import grids, sampling
from jaxdiff.diffusion.grids import Grid
from jaxdiff.diffusion.noises import Noise
from jaxdiff.diffusion.solvers import heun
from jaxdiff.diffusion.types import Denoise, Schedule, Solver

# Heun steps of the path: its error is far below that of a sample in 10 steps.
PATH_STEPS = 100
MAX_ITERATIONS = 60
# What every share is at least, so that a grid falls strictly in float32.
LEAST = 1e-5


class System(NamedTuple):
    """All that samples but for the grid; the solver draws no noise."""

    denoise: Denoise
    solver: Solver
    schedule: Schedule
    noise: Noise


class Paths(NamedTuple):
    """n paths from noise to data.

    keys: key[n], of their noise.  cond: leads with [n], or None
    ends: f32[n, *shape]
    """

    keys: Key[Array, "n"]
    cond: PyTree
    ends: Float[Array, "n ..."]


def make_paths(
    system: System, keys: Key[Array, "n"], shape: tuple[int, ...], cond: PyTree = None
) -> Paths:
    """The paths of the noise of `keys`; their ends are sampled finely."""
    paths = Paths(keys, cond, jnp.zeros((len(keys), *shape)))
    fine = system._replace(solver=heun.make(system.schedule))
    ts = grids.uniform(system.schedule, PATH_STEPS)
    return paths._replace(ends=sample(fine, ts, paths))


def known_grids(schedule: Schedule, num_steps: int) -> dict[str, Grid | None]:
    """Every grid of grids.py by its defaults; None where it has none of so many steps.

    `written` is left out: it has no times of its own.
    """
    made = {}
    for name in grids.__all__:
        if name != "written":
            try:
                made[name] = getattr(grids, name)(schedule, num_steps)
            except ValueError:
                made[name] = None
    return made


def fit(
    system: System,
    start: Grid,
    paths: Paths,
    after: Callable[[], object] = lambda: None,
) -> Grid:
    """Times f64[n + 1] that lower equation 2 from those of `start`.

    Args: after: called after each iteration, of at most MAX_ITERATIONS.
    """

    def value(z: np.ndarray) -> tuple[float, np.ndarray]:
        loss, slope = _loss_and_slope(jnp.asarray(z, jnp.float32), system, paths)
        return float(loss), np.asarray(slope, np.float64)

    shares = np.maximum(-np.diff(np.concatenate([[1.0], start])), LEAST)
    result = optimize.minimize(
        value,
        np.log(shares),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": MAX_ITERATIONS},
        callback=lambda z: after(),
    )
    return np.append(np.asarray(times(jnp.asarray(result.x)), np.float64)[:-1], 0.0)


@jax.jit
def _loss_and_slope(
    z: Float[Array, "shares"], system: System, paths: Paths
) -> tuple[Float[Array, ""], Float[Array, "shares"]]:
    """Equation 2 and its gradient.

    Forward through the steps: few times, one pass, and no step is kept. Backward,
    convolutions in a loop are slow on CPUs.
    """

    def loss(z: Array) -> tuple[Array, Array]:
        value = jnp.mean(jnp.square(sample(system, times(z), paths) - paths.ends))
        return value, value

    slope, value = jax.jacfwd(loss, has_aux=True)(z)
    return value, slope


def times(z: Float[Array, "shares"]) -> Float[Array, "shares"]:
    """Equation 1."""
    w = LEAST + (1 - len(z) * LEAST) * jax.nn.softmax(z)
    ts = 1 - jnp.cumsum(w)
    return ts.at[-1].set(0.0)


def error(system: System, ts: Grid, paths: Paths) -> float:
    """Root of the mean square distance from the ends of the paths, a value."""
    gaps = np.asarray(sample(system, ts, paths) - paths.ends)
    return float(np.sqrt(np.mean(np.square(gaps, dtype=np.float64))))


@jax.jit
def sample(system: System, ts: Array | Grid, paths: Paths) -> Float[Array, "n ..."]:
    """Samples of the paths' noise down those times f[n + 1], f32[n, *shape]."""
    keys, shape = paths.keys, paths.ends.shape[1:]
    how = {"schedule": system.schedule, "noise": system.noise}
    x_T = sampling.init_noise(keys, shape, t=ts[0], **how)
    return sampling.sample(keys, system.denoise, system.solver, ts, x_T, paths.cond)
