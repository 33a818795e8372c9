"""The sampling loop, and how solvers are made.

(1)  x_T = sigma(t_0) z,  z drawn by the key of the image     t_0 > t_1 > ... > t_n
(2)  x, state <- step(denoise, noise_i, x, t_i, t_{i+1}, state)   for i = 0 ... n - 1
(3)  noise_i draws with the keys fold_in(seed, i + 1), one per image, so that neither
     the batch nor the number of devices matters

A solver is a pair of pure functions in the manner of optax. It takes a denoiser, noise
and times, and sees no network, condition or prediction. Solver, denoiser and times are
values: another eta, guidance scale or seed compiles nothing. The loop is one
`lax.scan`, so that a thousand steps compile as fast as ten.
"""

from bisect import bisect_right
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxdiff import rng
from jaxdiff.arrays import Array, Float, Key, PyTree, expand, require
from jaxdiff.diffusion.arguments import check_denoised, checked
from jaxdiff.diffusion.noises import Noise
from jaxdiff.diffusion.types import (
    BoundDenoise,
    Denoise,
    Denoised,
    Schedule,
    Solver,
    SolverInit,
    SolverStep,
    StepNoise,
)


def make_solver(step: SolverStep, init: SolverInit | None = None) -> Solver:
    """Make a solver from the formula of its step, for one time or a batch of times.

    The formula gets t and s as f[] or f[b, 1, ..., 1], so that they multiply x
    directly. It may call its denoiser with times of either shape.

    Args:    step: Partial, (denoise, noise, x, t, s, state) -> (x, state).
             init: Partial, x -> state. By default the solver has no memory.
    Returns: Solver whose step takes t and s as f[] or f[b]. With a batch of times, each
             example gets what it would get alone.
    Errors:  The step raises ValueError for times of another shape, and if the formula
             or the denoiser changes the shape or type of x.
    """
    return Solver(Partial(_no_memory) if init is None else init, Partial(_step, step))


def _no_memory(x: Array) -> tuple[()]:
    del x
    return ()


def _step(
    step: SolverStep,
    denoise: BoundDenoise,
    noise: StepNoise,
    x: Float[Array, "b ..."],
    t: Float[Array, "..."],
    s: Float[Array, "..."],
    state: PyTree,
) -> tuple[Float[Array, "b ..."], PyTree]:
    def at(y: Array, time: Array) -> Denoised:
        den = denoise(y, time.reshape(time.shape[:1]))
        _check_like(x, den.x0, "the denoiser's x0")
        return den

    t, s = _beside(t, x), _beside(s, x)
    if t.ndim != s.ndim:
        t, s = jnp.broadcast_arrays(t, s)
    new, state = step(at, noise, x, t, s, state)
    _check_like(x, new, "the solver's x")
    return new, state


def _beside(t: Float[Array, "..."], x: Float[Array, "b ..."]) -> Float[Array, "..."]:
    """A batch of times with trailing axes of length one; one time as it is."""
    times = expand(t, x)
    if t.ndim and times.shape != (len(x), *(1,) * (x.ndim - 1)):
        raise ValueError(
            f"times must have shape () or ({len(x)},), one for each example of x "
            f"{x.shape}, got {t.shape}"
        )
    return times if t.ndim else t


def _check_like(x: Array, new: Array, name: str) -> None:
    require(
        new.shape == x.shape and new.dtype == x.dtype,
        f"{name} must be {x.dtype}{x.shape} like x, got {new.dtype}{new.shape}",
    )


def make_step_noise(keys: Key[Array, "b"], shape: tuple[int, ...]) -> StepNoise:
    """The noise of one step: noise(*where) -> z ~ N(0, 1), f[b, *shape].

    Each number of `where` is folded into every key in turn; noise() draws with the keys
    themselves.

    Args:    keys: of the step, one per image.  shape: of one image.
    """

    def noise(*where: int | Array) -> Array:
        folded = keys
        for number in where:
            folded = rng.fold(folded, number)
        return rng.draw(jax.random.normal, folded, shape)

    return noise


class Trace(NamedTuple):
    """x_t before each step, and the estimate of x0 there, f[n, b, ...] each."""

    x_t: Array
    x0: Array


def init_noise(
    seeds: Key[Array, "b"],
    shape: tuple[int, ...],
    *,
    schedule: Schedule,
    noise: Noise,
    t: float | Float[Array, ""] = 1.0,
) -> Float[Array, "b ..."]:
    """The x_T that sampling starts from, equation 1.

    Args:    seeds: one per image.  shape: of one image.  noise: as in training.
             t: the first time of the grid.
    Returns: f[b, *shape].
    """
    z = rng.draw(noise, rng.fold(seeds, 0), shape)
    return expand(schedule.sigma(jnp.asarray(t, z.dtype)), z) * z


@checked
@partial(jax.jit, static_argnames="trace")
def sample(
    seeds: Key[Array, "b"],
    denoise: Denoise,
    solver: Solver,
    ts: Float[Array, "times"],
    x_T: Float[Array, "b ..."],
    cond: PyTree = None,
    *,
    trace: bool = False,
) -> Float[Array, "b ..."] | tuple[Float[Array, "b ..."], Trace | None]:
    """Run a solver down the times `ts`, equation 2.

    Args:    seeds: one per image.  denoise: see denoisers.py.  solver: see solvers/.
             ts: falling times; the first is that of x_T, and ending at 0 gives x0.
             x_T: f[b, ...], see `init_noise`.  cond: passed to the denoiser.
    Returns: x at the last time, f[b, ...]; with `trace` also a Trace.
    Errors:  ValueError with the code to write instead, for arguments of other kinds or
             shapes, and for times that do not fall (arguments.py).
    """
    return run_along(seeds, denoise, solver, ts, x_T, cond, trace=trace)


@partial(jax.jit, static_argnames="trace")
def run_along(
    seeds: Key[Array, "b"],
    denoise: Denoise,
    solver: Solver,
    ts: Float[Array, "times"],
    x_T: Float[Array, "b ..."],
    cond: PyTree = None,
    *,
    trace: bool = False,
) -> Float[Array, "b ..."] | tuple[Float[Array, "b ..."], Trace | None]:
    """As `sample`, without its checks: the times of `inversion.upwards` rise."""

    def bound(x: Array, t: Array) -> Denoised:
        den = denoise(x, t, cond)
        check_denoised(den, denoise)
        return den

    def body(
        carry: tuple[Array, PyTree], now: tuple[Array, Array, Array]
    ) -> tuple[tuple[Array, PyTree], Trace | None]:
        x, state = carry
        i, t, s = now
        record = Trace(x, bound(x, t).x0) if trace else None
        noise = make_step_noise(rng.fold(seeds, i + 1), x.shape[1:])
        return solver.step(bound, noise, x, t, s, state), record

    steps = (jnp.arange(ts.shape[0] - 1), ts[:-1], ts[1:])
    (x, _), records = jax.lax.scan(body, (x_T, solver.init(x_T)), steps)
    return (x, records) if trace else x


def check_grid(name: str, times: Any, num_steps: int) -> np.ndarray:
    """The times of the grid of that name, f[num_steps + 1], for a config.

    In a run they are traced, so that `sample` cannot check them.
    Errors: ValueError for other numbers than fall from at most 1 to 0.
    """
    ts = np.asarray(times)
    fits = ts.dtype.kind in "fiu" and ts.shape == (num_steps + 1,)
    shown = np.array2string(ts, precision=3, threshold=8).replace("\n", "")
    require(
        fits and bool((np.diff(ts) < 0).all() and ts[0] <= 1 and ts[-1] == 0),
        f"sampler.grid={name} must give num_steps + 1 = {num_steps + 1} times that "
        f"fall, from at most 1 to 0, got {shown}",
    )
    return ts


def error_gain(schedule: Schedule, ts: np.ndarray) -> float:
    """How far solvers that average slopes in r = sigma / alpha may go astray on a grid.

    gain = max over steps of   (r_t / r_s - 1) / 2   min(1, r_t) / (1 + r_s^2)

    The first factor is by how much half of the slope (x / alpha - x0) / r at s enlarges
    a change of x0 on the way; the second is about that change, for data of deviation 1.
    Above 2 samples are off by tenths of the deviation, or noise. Steps to 0 and from
    pure noise (alpha = 0) do not count: there no solver takes more than x0.
    """
    lam = np.asarray(schedule.log_snr(jnp.asarray(ts, jnp.float32)), np.float64)
    r = np.exp(-lam[np.isfinite(lam) & (ts > 0)] / 2)
    gains = (r[:-1] / r[1:] - 1) / 2 * np.minimum(1, r[:-1]) / (1 + r[1:] ** 2)
    return float(gains.max(initial=0.0))


def count_nfe(solver: Solver, ts: Float[Array, "times"]) -> int:
    """The NFE (number of function evaluations) of a run down `ts`: its denoiser calls.

    The solver is run once, on one number, and its calls are counted, because steps
    differ: most solvers make a single call in the step to 0.
    """
    times = []

    def note(t: Array) -> None:
        times.append(float(t))

    def denoise(x: Array, t: Array, cond: PyTree) -> Denoised:
        del cond
        jax.debug.callback(note, t)
        return Denoised(x, jnp.zeros_like(x))

    seeds, x = jax.random.split(jax.random.key(0), 1), jnp.zeros((1, 1))
    jax.block_until_ready(run_along(seeds, Partial(denoise), solver, ts, x))
    jax.effects_barrier()
    return len(times)


def most_steps(cost: Callable[[int], int], most: int) -> tuple[int, int]:
    """The largest number of steps that costs at most `most` NFE, and its cost.

    Args:    cost: steps -> NFE, at least 1 per step. It rises with the number of steps,
             except for a solver that does more where steps are small.
    Returns: (steps, NFE); (0, 0) if even one step costs more.
    """
    cost = cache(cost)
    steps = bisect_right(range(1, most + 1), most, key=cost)
    while steps and cost(steps) > most:
        steps -= 1
    return steps, cost(steps) if steps else 0
