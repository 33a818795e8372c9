"""The order of convergence of a solver, measured on data with a closed form.

(1)  error(n) = C n^-p + O(n^-(p + 1))   after n steps from log-SNR START to END
(2)  p = log2 error(n) / error(2 n) + O(1 / n)                         `Errors.order`

The data (analytic.py) are two columns with a normal distribution and two with two
modes; everything is in float64. For a solver without noise the error is the distance
between the end of its path and the end of the exact flow, so p is the strong order. For
a solver with noise it is the error of the standard deviation of normal data, so p is a
weak order. Both are relative to the exact standard deviation at the end.

The effect of noise is computed exactly. Every step is given its noise z (`travel`), so
the end is a function of x_T and z, which is affine for normal data. Its slopes, from
`probes`, give mean and variance over all noise without sampling.
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

# The fields to measure a solver with; a solver that is not listed has its defaults.
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
# Solvers without an order to measure: `restart` takes heun's steps but jumps off the
# path, and `consistency` follows no path.
OFF_PATH = ("consistency", "restart")

# Two normal columns and two with two modes, and the start of each column's path in
# standard deviations from the mean.
DATA = Mixture(
    weights=np.full((2, 4), 0.5),
    means=np.array([[0.3, 0.3, -1.0, -1.0], [0.3, 0.3, 1.0, 1.0]]),
    stds=np.array([[0.5, 0.5, 0.4, 0.4]] * 2),
)
NORMAL = DATA.means[0] == DATA.means[1]
DEVIATES = np.array([-1.2, 0.7, -0.4, 1.1])

# Every schedule reaches these log-SNRs.
START, END = -4.5, 2.0
# Numbers of steps without noise (False) and with (True). With noise every step needs a
# row of its own, and fewer steps are enough for low orders.
STEPS = {False: (256, 512, 1024), True: (32, 64, 128)}
# A multistep method starts at a lower order, which must not show in its error. So three
# steps come before the n even ones, each (1 / n)^(FIRST - 1) of an even step.
FIRST = 2.5, 1.75, 1.25


class Errors(NamedTuple):
    """Relative errors at STEPS[noisy] steps, without unit.

    noisy:  whether the solver draws noise
    values: errors of the path; with noise, of the standard deviation of normal data
    mean:   the largest error of the mean of normal data
    """

    noisy: bool
    values: list[float]
    mean: float

    @property
    def order(self) -> float:
        """The order p of equation 2, from the last two errors."""
        return float(np.log2(self.values[-2] / self.values[-1]))


def measure(
    make: Callable[..., Solver],
    fields: dict[str, Any],
    schedule: Schedule,
    denoise: BoundDenoise | None = None,
) -> Errors:
    """The errors of a solver between START and END. Call it under `jax.enable_x64`.

    Args:   make, fields: the solver is make(schedule, **of_steps(fields, n)).
            denoise: the exact denoiser for DATA, by default `exact_denoise`.
    Errors: ValueError if a step draws noise more than once.
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
    """Whether the solver draws noise, which does not depend on the schedule."""
    schedule = schedules.linear_mix()  # always the same, so that it compiles once
    t, s = (float(schedule.t_of(jnp.asarray(value))) for value in (START, END))
    solver = make(schedule, **of_steps(fields, STEPS[True][0]))
    return inversion.draws_noise(solver, schedule, np.array([t, s]))


def of_steps(fields: dict[str, Any], n: int) -> dict[str, Any]:
    """The fields for n steps: `churn` is a rate per step, so it is divided by n."""
    return {k: v / n if k == "churn" else v for k, v in fields.items()}


def normal_at(schedule: Schedule, t: float) -> tuple[float, float]:
    """Mean and standard deviation of the normal columns at time t."""
    law = analytic.marginal(DATA, schedule, t)
    return float(law.means[0, 0]), float(law.stds[0, 0])


def even(t: float, s: float, n: int) -> Float[np.ndarray, "times"]:
    """Times from t to s: the short steps of FIRST, and then n even ones."""
    starts = (t - s) / n * (1.0 / n) ** (np.array(FIRST) - 1)
    return np.concatenate([[t], t - np.cumsum(starts), np.linspace(t, s, n + 1)[1:]])


def probes(x: Float[np.ndarray, "d"], noisy: bool) -> tuple[Array, Array]:
    """Starts f64[rows, d] and noise f64[steps, rows, d] whose ends give all slopes.

    Row 0 is x without noise, and row 1 is x + 1 without noise. With `noisy`, row 2 + i
    is x with noise 1 at step i and 0 at all others.
    """
    steps = STEPS[noisy][-1] + len(FIRST)
    rows = 2 + steps * noisy
    starts = np.tile(x, (rows, 1))
    starts[1] += 1
    z = np.zeros((steps, rows, 1))
    if noisy:
        z = np.eye(rows)[2:].reshape(z.shape)
    return jnp.asarray(starts), jnp.asarray(z * np.ones(len(DEVIATES)))


# the programs are tiny, and nearly all of their time is spent on compiling
@partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
def end_of(
    solver: Solver,
    denoise: BoundDenoise,
    ts: Float[Array, "times"],
    stop: int | Array,
    x: Float[Array, "rows d"],
    z: Float[Array, "steps rows d"],
) -> Float[Array, "rows d"]:
    """x after `stop` steps of `travel`."""
    return travel(solver, denoise, ts, x, z)[stop - 1]


@jax.jit
def travel(
    solver: Solver,
    denoise: BoundDenoise,
    ts: Float[Array, "times"],
    x: Float[Array, "rows d"],
    z: Float[Array, "steps rows d"],
) -> Float[Array, "steps rows d"]:
    """x after every step down `ts`, where z[i] is the noise of step i."""

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
    """The exact denoiser for DATA, with a learned variance fraction of 1/4."""
    return _with_variance(analytic.make_denoise(DATA, schedule), x, t)


def through_network(prediction: Prediction, schedule: Schedule) -> BoundDenoise:
    """`exact_denoise`, computed through a network that predicts its target exactly."""
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
    """The functions as one function with different numbers, which select them.

    The number is a leaf, so one compiled program serves all of them.
    """
    return [
        Partial(_pick, jnp.array(which), tuple(functions))
        for which in range(len(functions))
    ]


def _pick(which: Array, functions: tuple[Callable, ...], *args: PyTree) -> PyTree:
    return jax.lax.switch(which, functions, *args)


def as_one(made: Sequence[Schedule]) -> list[Schedule]:
    """The schedules as one pytree structure, by `one_of`."""
    parts = [one_of(functions) for functions in zip(*made, strict=True)]
    return [Schedule(*each) for each in zip(*parts, strict=True)]
