"""The one sampling loop.

(1)  x_T = sigma(t_0) z,  z from the image's own key          t_0 > t_1 > ... > t_n
(2)  x, state <- step(denoise, keys, x, t_i, t_{i+1}, state)   for i = 0 ... n - 1
(3)  keys_i = fold_in(seed, i + 1): image by image, so neither batch nor devices matter

A solver is a pair of pure functions in the manner of optax. It knows a denoiser and
times, nothing of networks, labels or parameterisations. Solver, denoiser and times are
values: another eta, guidance scale or seed compiles nothing, and the loop is one
`lax.scan`, so a thousand steps compile as fast as ten.
"""

from bisect import bisect_right
from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff import rng
from jaxdiff.arrays import Array, Float, Key, PyTree, expand
from jaxdiff.diffusion.denoisers import Denoise, Denoised
from jaxdiff.diffusion.noises import Noise
from jaxdiff.diffusion.schedules import Schedule


class Solver(NamedTuple):
    """init: x -> state;  step: (denoise, keys, x, t, s, state) -> (x, state).

    denoise is (x_t, t) -> Denoised;  t, s f[] with s < t;  keys key[b].
    """

    init: Callable
    step: Callable


def no_memory(x: Array) -> tuple[()]:
    """The init of a solver without memory."""
    del x
    return ()


class Trace(NamedTuple):
    """What a sampler saw: x_t and the estimate of x0 at each step, f32[n, b, ...]."""

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
    """Equation 1: f32[b, *shape]."""
    z = rng.draw(noise, rng.fold(seeds, 0), shape)
    return expand(schedule.sigma(jnp.asarray(t, z.dtype)), z) * z


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
):
    """Run a solver down the times `ts`.

    Args:    ts: falling from where x_T is; ending at 0 gives x0 itself.
             x_T: f32[b, ...].  cond: passed to the denoiser.
    Returns: x at the last time, f32[b, ...]; with `trace` also a Trace.
    """

    def bound(x, t):
        return denoise(x, t, cond)

    def body(carry, now):
        x, state = carry
        i, t, s = now
        seen = Trace(x, bound(x, t).x0) if trace else None
        x, state = solver.step(bound, rng.fold(seeds, i + 1), x, t, s, state)
        return (x, state), seen

    steps = (jnp.arange(len(ts) - 1), ts[:-1], ts[1:])
    (x, _), seen = jax.lax.scan(body, (x_T, solver.init(x_T)), steps)
    return (x, seen) if trace else x


def count_nfe(solver: Solver, ts: Float[Array, "times"]) -> int:
    """Denoiser calls of a run down `ts`, counted by running it on one number.

    A step may call more often than another: once in the step to 0, for most.
    """
    calls = []

    def note(t):
        calls.append(float(t))

    def denoise(x, t, cond):
        del cond
        jax.debug.callback(note, t)
        return Denoised(x, jnp.zeros_like(x))

    seeds, x = jax.random.split(jax.random.key(0), 1), jnp.zeros((1, 1))
    jax.block_until_ready(sample(seeds, Partial(denoise), solver, ts, x))
    jax.effects_barrier()
    return len(calls)


def most_steps(cost: Callable[[int], int], most: int) -> tuple[int, int]:
    """The most steps, up to `most`, whose cost is at most that, and their cost.

    0 steps where even one costs more.
    cost: steps -> calls, which rises with the steps but for a solver that does more
          where steps are small.
    """
    cost = cache(cost)
    steps = bisect_right(range(1, most + 1), most, key=cost)
    while steps and cost(steps) > most:
        steps -= 1
    return steps, cost(steps) if steps else 0
