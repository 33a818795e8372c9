"""The types of the mathematics, each in one place.

x, x_t, x0, eps:  f[b, ...], b examples
t, s:             f[], one time for all examples, or f[b], one for each; s < t
cond:             a tree whose leaves lead with b, or None

The Protocols describe functions by the arguments they are called with, in order. What
implements one is usually a `Partial`: its parameters are leaves of a tree, so that it
passes through jit, vmap and grad like an array.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

from jax.typing import ArrayLike

from jaxdiff.arrays import Array, Float, PyTree

# one time for all examples, or one for each
Times = Float[Array, ""] | Float[Array, "b"]
Scale = float | Times
# f[...] -> f[...], value by value
Curve = Callable[[Array], Array]


class Schedule(NamedTuple):
    """x_t = alpha(t) x0 + sigma(t) eps, with t in [0, 1] from data to noise.

    alpha, sigma: t f[...] -> f[...]
    log_snr:      t f[...] -> 2 log(alpha / sigma), f[...]
    t_of:         log_snr f[...] -> t f[...], the inverse of log_snr
    """

    alpha: Curve
    sigma: Curve
    log_snr: Curve
    t_of: Curve


class Coeffs(NamedTuple):
    """A schedule and its time derivatives at given times; every field f[...] like t."""

    t: Float[Array, "..."]
    alpha: Float[Array, "..."]
    sigma: Float[Array, "..."]
    d_alpha: Float[Array, "..."]
    d_sigma: Float[Array, "..."]
    log_snr: Float[Array, "..."]


class Denoised(NamedTuple):
    """What a denoiser returns, every field f[b, ...] of the shape of x_t.

    x0:         the estimate of the data
    var_frac:   the learned variance as a fraction in [0, 1] (posterior.py, eq. 4), or
                None
    eps:        the estimate of the noise where it is *not* (x_t - alpha x0) / sigma, or
                None: some wrappers change x0 and keep the noise
    mean_shift: what an ancestral step adds to its mean, times its variance
                (guidance.py, eq. 3), or None
    """

    x0: Array
    var_frac: Array | None = None
    eps: Array | None = None
    mean_shift: Array | None = None


@runtime_checkable
class Network(Protocol):
    """(x_t f[b, ...], c of f[b], cond) -> out f[b, ...].

    With learned variance the last axis of `out` is twice that of x_t.
    """

    def __call__(self, x_t: Array, c: Coeffs, cond: PyTree, /) -> Array: ...


@runtime_checkable
class Denoise(Protocol):
    """(x_t f[b, ...], t f[] or f[b], cond) -> Denoised."""

    def __call__(self, x_t: Array, t: Times, cond: PyTree, /) -> Denoised: ...


@runtime_checkable
class Rule(Protocol):
    """How guidance combines two estimates of x0.

    (schedule, scale f[] or f[b], x_t f[b, ...], t f[] or f[b], main, guide) -> Denoised

    schedule: that of both estimates; None for a rule that does not use it
    main:     the estimate to move towards, conditional or of the better model
    guide:    the estimate to move away from
    """

    def __call__(
        self,
        schedule: Schedule | None,
        scale: Scale,
        x_t: Array,
        t: Times,
        main: Denoised,
        guide: Denoised,
        /,
    ) -> Denoised: ...


@runtime_checkable
class Edit(Protocol):
    """A denoiser of x0 that agrees with what is known of it.

    (denoise, schedule, values, known) -> Denoise

    values: what is known, in model units, f[b, ...] or f[...] of one example
    known:  a mask of 0 and 1 or bool that broadcasts against x_t, or another linear
            map of x0 (inverse_problems.py)
    """

    def __call__(
        self,
        denoise: Denoise,
        schedule: Schedule,
        values: ArrayLike,
        known: PyTree,
        /,
    ) -> Denoise: ...


# A denoiser with its condition filled in, as solvers call it: (x_t, t) -> Denoised.
BoundDenoise = Callable[[Array, Array], Denoised]


@runtime_checkable
class StepNoise(Protocol):
    """The noise of one step: () -> z f[b, ...], the same z at every call.

    Numbers, traced or not, name further draws: noise(i) and noise(i, j) are
    independent of noise() and of one another.
    """

    def __call__(self, *where: int | Array) -> Array: ...


@runtime_checkable
class SolverInit(Protocol):
    """x f[b, ...] -> state, the memory before the first step.

    Every leaf of the state ends in axes that broadcast against x, so that the memory of
    one example is apart from that of the others.
    """

    def __call__(self, x: Array, /) -> PyTree: ...


@runtime_checkable
class SolverStep(Protocol):
    """One step from t to s: (denoise, noise, x, t, s, state) -> (x, state)."""

    def __call__(
        self,
        denoise: BoundDenoise,
        noise: StepNoise,
        x: Array,
        t: Times,
        s: Times,
        state: PyTree,
        /,
    ) -> tuple[Array, PyTree]: ...


class Solver(NamedTuple):
    """A pair of pure functions, made by `sampling.make_solver`."""

    init: SolverInit
    step: SolverStep
