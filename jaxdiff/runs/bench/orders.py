"""Measures of one solver where the truth is in closed form: its order, and its spread.

The data are normal columns, and columns of two modes (analytic.py), in float64. The
effect of the noise is exact: each step is given its noise z (`travel`), so that the end
is a function of x_T and z, affine in both for normal data, and its slopes (by `probes`)
give the mean and the variance over all noise without sampling.

Without noise the error is that of the path, from x_T to where the exact flow takes it:
the strong order. With noise it is that of the standard deviation of normal data: a weak
order. Either is relative to the standard deviation at the end.
"""

import importlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxdiff.arrays import Array, require
from jaxdiff.diffusion import analytic, solvers
from jaxdiff.diffusion.analytic import Mixture
from jaxdiff.diffusion.types import BoundDenoise, Denoised, Schedule, Solver

# What is measured of a solver beside its defaults. `restart` steps as heun does, and
# leaves its path; `consistency` follows none.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "consistency": [],
    "ddim": [{"eta": 0.0}, {"eta": 0.5}, {"eta": 1.0}],
    "ddpm": [{"variance": "small"}, {"variance": "large"}],
    "dpm2": [{}, {"eta": 1.0}],
    "dpmpp_2s": [{}, {"eta": 1.0}],
    "dpmpp_2m_sde": [{}, {"eta": 0.5}],
    "dpmpp_3m_sde": [{}, {"eta": 0.5}],
    "euler": [{}, {"churn": 4.0}],
    "heun": [{}, {"frame": "flow"}, {"churn": 4.0}],
    "restart": [],
}
NOISY = "ddpm", "euler_ancestral", "dpmpp_2m_sde", "dpmpp_3m_sde"

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
        """From the last two; at order p and n steps it is p + O(1 / n)."""
        return float(np.log2(self.values[-2] / self.values[-1]))


def load(name: str) -> Any:
    """The file of a solver: `make` and `ORDER`."""
    return importlib.import_module(f"{solvers.__name__}.{name}")


def is_noisy(name: str, fields: dict[str, Any]) -> bool:
    return bool(fields.get("eta", name in NOISY)) or "churn" in fields


def of_steps(fields: dict[str, Any], n: int) -> dict[str, Any]:
    """Churn is by step: the more steps, the less."""
    return {k: v / n if k == "churn" else v for k, v in fields.items()}


def one_of(functions: Sequence[Callable]) -> list[Partial]:
    """Each as the same function of a number, which selects it.

    So that one program serves schedules, or predictions, of every kind.
    """
    return [
        Partial(_pick, jnp.array(which), tuple(functions))
        for which in range(len(functions))
    ]


def as_one(made: Sequence[Schedule]) -> list[Schedule]:
    """`one_of` schedules."""
    parts = [one_of(functions) for functions in zip(*made, strict=True)]
    return [Schedule(*each) for each in zip(*parts, strict=True)]


def measure(
    name: str,
    fields: dict[str, Any],
    schedule: Schedule,
    denoise: BoundDenoise | None = None,
) -> Errors:
    """Errors of a solver between START and END; under `jax.enable_x64`.

    denoise: the exact denoiser of DATA through a network; by default without one.
    """
    t, s = (float(schedule.t_of(jnp.asarray(value))) for value in (START, END))
    mean, std = normal_at(schedule, t)
    mean_s, std_s = normal_at(schedule, s)
    x = np.where(NORMAL, mean, 0.0) + std * DEVIATES
    exact = analytic.transport(DATA, schedule, x, t, s)
    noisy = is_noisy(name, fields)
    starts, z = probes(x, noisy)
    denoise = denoise or Partial(exact_denoise, schedule)
    path, spread, off, most = [], [], 0.0, STEPS[noisy][-1]
    for n in STEPS[noisy]:
        solver = load(name).make(schedule, **of_steps(fields, n))
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


def exact_denoise(schedule: Schedule, x: Array, t: Array) -> Denoised:
    """The exact denoiser of DATA, with a learned variance of a quarter."""
    den = analytic.make_denoise(DATA, schedule)(x, t, None)
    return den._replace(var_frac=jnp.full_like(x, 0.25))


def normal_at(schedule: Schedule, t: float) -> tuple[float, float]:
    """Mean and standard deviation of the normal columns of x_t."""
    law = analytic.marginal(DATA, schedule, t)
    return float(law.means[0, 0]), float(law.stds[0, 0])


@jax.jit
def travel(solver: Solver, denoise: Any, ts: Array, x: Array, z: Array) -> Array:
    """x after each step down `ts`; z[i] is the noise of step i, which draws once."""

    def step(carry, now):
        t, s, z_now = now

        def noise(*where: int | Array) -> Array:
            require(not where, "only steps that draw once, by noise(), are measured")
            return z_now

        x, state = solver.step(denoise, noise, carry[0], t, s, carry[1])
        return (x, state), x

    start = x, solver.init(x)
    return jax.lax.scan(step, start, (ts[:-1], ts[1:], z))[1]


# the programs are tiny, and compiling them is all of the time
@partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
def end_of(solver: Solver, denoise: Any, ts: Array, stop: Any, x: Array, z: Array):
    """x after `stop` steps."""
    return travel(solver, denoise, ts, x, z)[stop - 1]


def even(t: float, s: float, n: int) -> np.ndarray:
    """Times from t to s in FIRST and n steps."""
    starts = (t - s) / n * (1.0 / n) ** (np.array(FIRST) - 1)
    return np.concatenate([[t], t - np.cumsum(starts), np.linspace(t, s, n + 1)[1:]])


def probes(x: np.ndarray, noisy: bool) -> tuple[Array, Array]:
    """Rows of starts and draws: x alone, x + 1, and x with each draw in turn 1."""
    steps = STEPS[noisy][-1] + len(FIRST)
    rows = 2 + steps * noisy
    starts = np.tile(x, (rows, 1))
    starts[1] += 1
    z = np.zeros((steps, rows, 1))
    if noisy:
        z = np.eye(rows)[2:].reshape(z.shape)
    return jnp.asarray(starts), jnp.asarray(z * np.ones(len(DEVIATES)))


def _pick(which, functions, *args):
    return jax.lax.switch(which, functions, *args)
