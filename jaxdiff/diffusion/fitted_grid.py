"""A step grid fitted to a denoiser and a solver, by the gradient through the sampler.

(1)  t_i = 1 - (w_0 + ... + w_i),  w = softmax(z) with n + 1 entries;  t_n = 0
(2)  loss(z) = mean |x(z) - x*|^2,  x(z) the sample down the times of z,  x* the end of
     the path from the same noise, sampled by Heun's method in many even steps

A few steps cannot follow the path, but they can end near its end. The fit starts from a
known grid and minimises the loss over a fixed set of paths with L-BFGS. Measure the
error of the result on other paths.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy

from jaxdiff.arrays import Array, Float, Key, PyTree
from jaxdiff.diffusion import grids, sampling
from jaxdiff.diffusion.grids import Grid
from jaxdiff.diffusion.noises import Noise
from jaxdiff.diffusion.solvers import heun
from jaxdiff.diffusion.types import Denoise, Schedule, Solver

# Heun steps of a path, whose error is far below that of a sample in 10 steps.
PATH_STEPS = 100
MAX_ITERATIONS = 60
# The least w, so that the times of a grid fall strictly in float32.
LEAST = 1e-5


class System(NamedTuple):
    """What a grid is fitted to. The solver must not draw noise."""

    denoise: Denoise
    solver: Solver
    schedule: Schedule
    noise: Noise


class Paths(NamedTuple):
    """n paths from noise to data.

    keys: key[n], of the noise at the start.  cond: a tree that leads with n, or None
    ends: f32[n, *shape], x* of equation 2
    """

    keys: Key[Array, "n"]
    cond: PyTree
    ends: Float[Array, "n ..."]


def make_paths(
    system: System, keys: Key[Array, "n"], shape: tuple[int, ...], cond: PyTree = None
) -> Paths:
    """The paths from the noise of `keys`, in PATH_STEPS steps.

    Args: shape: of one example.  cond: passed to the denoiser.
    """
    paths = Paths(keys, cond, jnp.zeros((len(keys), *shape)))
    fine = system._replace(solver=heun.make(system.schedule))
    ts = grids.uniform(system.schedule, PATH_STEPS)
    return paths._replace(ends=sample(fine, ts, paths))


def known_grids(schedule: Schedule, num_steps: int) -> dict[str, Grid | None]:
    """The grids of grids.py with their defaults, by name.

    None stands for a grid that cannot have this number of steps. `written` and `auto`
    are left out, since they have no times of their own.
    """
    made = {}
    for name in grids.__all__:
        if name not in ("auto", "written"):
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
    """The grid f64[n + 1] at a local minimum of equation 2.

    Args: start: the grid f64[n + 1] to start from.
          after: called after every iteration; there are at most MAX_ITERATIONS.
    """

    def value(z: np.ndarray) -> tuple[float, np.ndarray]:
        loss, slope = _loss_and_slope(jnp.asarray(z, jnp.float32), system, paths)
        return float(loss), np.asarray(slope, np.float64)

    shares = np.maximum(-np.diff(np.concatenate([[1.0], start])), LEAST)
    result = scipy.optimize.minimize(
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

    In forward mode, since there are few times, and no step has to be kept. In reverse
    mode, gradients of convolutions in a loop are slow on CPUs.
    """

    def loss(z: Array) -> tuple[Array, Array]:
        value = jnp.mean(jnp.square(sample(system, times(z), paths) - paths.ends))
        return value, value

    slope, value = jax.jacfwd(loss, has_aux=True)(z)
    return value, slope


def times(z: Float[Array, "shares"]) -> Float[Array, "shares"]:
    """The times of z, equation 1."""
    w = LEAST + (1 - len(z) * LEAST) * jax.nn.softmax(z)
    ts = 1 - jnp.cumsum(w)
    return ts.at[-1].set(0.0)


def error(system: System, ts: Grid, paths: Paths) -> float:
    """The root mean square distance per value from the ends of the paths."""
    gaps = np.asarray(sample(system, ts, paths) - paths.ends)
    return float(np.sqrt(np.mean(np.square(gaps, dtype=np.float64))))


@jax.jit
def sample(system: System, ts: Array | Grid, paths: Paths) -> Float[Array, "n ..."]:
    """The samples down the times `ts` from the noise of the paths."""
    keys, shape = paths.keys, paths.ends.shape[1:]
    how = {"schedule": system.schedule, "noise": system.noise}
    x_T = sampling.init_noise(keys, shape, t=ts[0], **how)
    times = jnp.asarray(ts)
    return sampling.sample(keys, system.denoise, system.solver, times, x_T, paths.cond)
