"""The order of convergence of a solver, measured where the truth is in closed form.

(1)  error(n) = C n^-p + O(n^-(p + 1))   after n steps from log-SNR START to END
(2)  p = log2 error(n) / error(2 n) + O(1 / n)                         `Errors.order`

The data are normal columns, and columns of two modes (analytic.py), in float64. Without
noise the error is that of the path, from x_T to where the exact flow takes it: the
strong order. With noise it is that of the standard deviation of normal data: a weak
order. Either is relative to the standard deviation at the end.

The effect of the noise is exact. Each step is given its noise z (`travel`), so that the
end is a function of x_T and z, affine in both for normal data. Its slopes, from
`probes`, give the mean and the variance over all noise without sampling.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, PyTree, expand, require
from jaxdiff.diffusion import analytic, inversion, schedules
from jaxdiff.diffusion.analytic import Mixture
from jaxdiff.diffusion.denoisers import make_denoise
from jaxdiff.diffusion.predictions import Prediction, make_target
from jaxdiff.diffusion.types import (
    BoundDenoise,
    Coeffs,
    Denoise,
    Denoised,
    Schedule,
    Solver,
)

# Fields with which a solver is measured, where these are not its defaults alone.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "ddim": [{"eta": 0.0}, {"eta": 0.5}, {"eta": 1.0}],
    "ddpm": [{"variance": "small"}, {"variance": "large"}],
    "dpm2": [{}, {"eta": 1.0}],
    "dpmpp_2s": [{}, {"eta": 1.0}],
    "dpmpp_2m_sde": [{}, {"eta": 0.5}],
    "dpmpp_3m_sde": [{}, {"eta": 0.5}],
    "euler": [{}, {"churn": 4.0}],
    "heun": [{}, {"frame": "flow"}, {"churn": 4.0}],
}
# Solvers that cannot be measured: `restart` steps as heun does, and leaves its path;
# `consistency` follows none.
OFF_PATH = ("consistency", "restart")

# Two normal columns, and two of two modes; where each column starts, in deviates.
DATA = Mixture(
    weights=np.full((2, 4), 0.5),
    means=np.array([[0.3, 0.3, -1.0, -1.0], [0.3, 0.3, 1.0, 1.0]]),
    stds=np.array([[0.5, 0.5, 0.4, 0.4]] * 2),
)
NORMAL = DATA.means[0] == DATA.means[1]
DEVIATES = np.array([-1.2, 0.7, -0.4, 1.1])

# log-SNRs that every schedule has, so that none is measured beyond its ends
START, END = -4.5, 2.0
# The noise of every step takes a row to itself: fewer, which suffice for low orders.
STEPS = {False: (256, 512, 1024), True: (32, 64, 128)}  # by whether there is noise
# Multistep methods take starting values of their order for granted: the first of n even
# steps begins with three that are small enough for those of lower order.
FIRST = 2.5, 1.75, 1.25


class Errors(NamedTuple):
    """At STEPS[noisy] steps: of the path, or of the spread of a noisy solver.

    mean: the largest relative error of the mean of normal data at any of these
    """

    noisy: bool
    values: list[float]
    mean: float

    @property
    def order(self) -> float:
        """Equation 2, from the last two."""
        return float(np.log2(self.values[-2] / self.values[-1]))


def measure(
    make: Callable[..., Solver],
    fields: dict[str, Any],
    schedule: Schedule,
    denoise: BoundDenoise | None = None,
) -> Errors:
    """Errors of a solver between START and END; under `jax.enable_x64`.

    Args: make, fields: the solver is make(schedule, **fields), churn as in `of_steps`.
          denoise: the exact denoiser of DATA, by default `exact_denoise`.
    """
    t, s = (float(schedule.t_of(jnp.asarray(value))) for value in (START, END))
    (mean, std), (mean_s, std_s) = (normal_at(schedule, time) for time in (t, s))
    x = np.where(NORMAL, mean, 0.0) + std * DEVIATES
    exact = analytic.transport(DATA, schedule, x, t, s)
    noisy = is_noisy(make, fields)
    starts, z = probes(x, noisy)
    denoise = denoise or Partial(exact_denoise, schedule)
    path, spread, off, most = [], [], 0.0, STEPS[noisy][-1]
    for n in STEPS[noisy]:
        solver = make(schedule, **of_steps(fields, n))
        # one length for all, and so one compilation: the rest continues below s
        rest = s * (1 - np.arange(1, most - n + 1) / (2 * most))
        ts = jnp.asarray(np.concatenate([even(t, s, n), rest]))
        ends = np.asarray(end_of(solver, denoise, ts, n + len(FIRST), starts, z))
        end, of_x, of_z = ends[0], ends[1] - ends[0], ends[2:] - ends[0]
        # normal data: affine, so these are the mean and the variance over all z
        centre = end + of_x * (np.where(NORMAL, mean, 0.0) - x)
        off = max(off, float(np.abs(centre[NORMAL] / mean_s - 1).max()))
        variance = (of_x * std) ** 2 + (of_z**2).sum(axis=0)
        spread.append(float(np.abs(np.sqrt(variance[NORMAL]) / std_s - 1).max()))
        path.append(float(np.abs((end - exact) / std_s).max()))
    return Errors(noisy, spread if noisy else path, off)


def is_noisy(make: Callable[..., Solver], fields: dict[str, Any]) -> bool:
    """Whether such a solver draws noise, be the schedule what it may."""
    schedule = schedules.linear_mix()  # one for all: a solver is compiled once
    t, s = (float(schedule.t_of(jnp.asarray(value))) for value in (START, END))
    solver = make(schedule, **of_steps(fields, STEPS[True][0]))
    return inversion.draws_noise(solver, schedule, np.array([t, s]))


def of_steps(fields: dict[str, Any], n: int) -> dict[str, Any]:
    """The fields for n steps: churn is by step, the less the more steps there are."""
    return {k: v / n if k == "churn" else v for k, v in fields.items()}


def normal_at(schedule: Schedule, t: float) -> tuple[float, float]:
    """Mean and standard deviation of the normal columns of x_t."""
    law = analytic.marginal(DATA, schedule, t)
    return float(law.means[0, 0]), float(law.stds[0, 0])


def even(t: float, s: float, n: int) -> Float[np.ndarray, "times"]:
    """Times from t to s in FIRST and n steps."""
    starts = (t - s) / n * (1.0 / n) ** (np.array(FIRST) - 1)
    return np.concatenate([[t], t - np.cumsum(starts), np.linspace(t, s, n + 1)[1:]])


def probes(x: Float[np.ndarray, "d"], noisy: bool) -> tuple[Array, Array]:
    """Rows of starts and draws: x alone, x + 1, and x with each draw in turn 1."""
    steps = STEPS[noisy][-1] + len(FIRST)
    rows = 2 + steps * noisy
    starts = np.tile(x, (rows, 1))
    starts[1] += 1
    z = np.zeros((steps, rows, 1))
    if noisy:
        z = np.eye(rows)[2:].reshape(z.shape)
    return jnp.asarray(starts), jnp.asarray(z * np.ones(len(DEVIATES)))


# the programs are tiny, and compiling them is all of the time
@partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
def end_of(
    solver: Solver,
    denoise: BoundDenoise,
    ts: Float[Array, "times"],
    stop: int | Array,
    x: Float[Array, "rows d"],
    z: Float[Array, "steps rows d"],
) -> Float[Array, "rows d"]:
    """x after `stop` steps."""
    return travel(solver, denoise, ts, x, z)[stop - 1]


@jax.jit
def travel(
    solver: Solver,
    denoise: BoundDenoise,
    ts: Float[Array, "times"],
    x: Float[Array, "rows d"],
    z: Float[Array, "steps rows d"],
) -> Float[Array, "steps rows d"]:
    """x after each step down `ts`; z[i] is the noise of step i, which draws once."""

    def step(
        carry: tuple[Array, PyTree], now: tuple[Array, Array, Array]
    ) -> tuple[tuple[Array, PyTree], Array]:
        t, s, z_now = now

        def noise(*where: int | Array) -> Array:
            require(not where, "only steps that draw once, by noise(), are measured")
            return z_now

        x, state = solver.step(denoise, noise, carry[0], t, s, carry[1])
        return (x, state), x

    start = x, solver.init(x)
    return jax.lax.scan(step, start, (ts[:-1], ts[1:], z))[1]


# --- denoisers ---


def exact_denoise(schedule: Schedule, x: Array, t: Array) -> Denoised:
    """The exact denoiser of DATA, with a learned variance of a quarter."""
    return _with_variance(analytic.make_denoise(DATA, schedule), x, t)


def through_network(prediction: Prediction, schedule: Schedule) -> BoundDenoise:
    """`exact_denoise` by way of a network that makes this prediction exactly."""
    network = Partial(_exact_network, prediction)
    denoise = make_denoise(network, schedule=schedule, prediction=prediction)
    return Partial(_with_variance, denoise)


def _with_variance(denoise: Denoise, x: Array, t: Array) -> Denoised:
    return denoise(x, t, None)._replace(var_frac=jnp.full_like(x, 0.25))


def _exact_network(
    prediction: Prediction, x_t: Float[Array, "b d"], c: Coeffs, cond: PyTree
) -> Float[Array, "b d"]:
    del cond
    alpha, sigma = expand(c.alpha, x_t), expand(c.sigma, x_t)
    x0 = analytic.posterior_mean(DATA, x_t, alpha, sigma)
    return make_target(prediction(c), x0, (x_t - alpha * x0) / sigma)


# --- one program for many ---


def one_of(functions: Sequence[Callable]) -> list[Partial]:
    """Each as the same function of a number, which selects it.

    So that one program serves schedules, or predictions, of every kind.
    """
    return [
        Partial(_pick, jnp.array(which), tuple(functions))
        for which in range(len(functions))
    ]


def _pick(which: Array, functions: tuple[Callable, ...], *args: PyTree) -> PyTree:
    return jax.lax.switch(which, functions, *args)


def as_one(made: Sequence[Schedule]) -> list[Schedule]:
    """`one_of` schedules."""
    parts = [one_of(functions) for functions in zip(*made, strict=True)]
    return [Schedule(*each) for each in zip(*parts, strict=True)]
