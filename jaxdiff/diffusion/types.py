"""The types of the mathematics, each defined once.

x, x_t, x0, eps:  f[b, ...], a batch of b examples
t, s:             f[], one time for the whole batch, or f[b], one per example; s < t
cond:             None, or a tree whose leaves have b as their first axis

Each Protocol lists the arguments of a function in the order in which they are passed.
An implementation is usually a `Partial`: its parameters are then leaves of a pytree, so
it passes through jit, vmap and grad like an array.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

from jax.typing import ArrayLike

from jaxdiff.arrays import Array, Float, PyTree

# one time for the whole batch, or one per example
Times = Float[Array, ""] | Float[Array, "b"]
Scale = float | Times
# f[...] -> f[...], elementwise
Curve = Callable[[Array], Array]


class Schedule(NamedTuple):
    """x_t = alpha(t) x0 + sigma(t) eps, where t runs from 0 (data) to 1 (noise).

    alpha, sigma: t f[...] -> f[...], no unit
    log_snr:      t f[...] -> 2 log(alpha / sigma) f[...], in nats, strictly decreasing
    t_of:         log_snr f[...] -> t f[...], the inverse of log_snr
    """

    alpha: Curve
    sigma: Curve
    log_snr: Curve
    t_of: Curve


class Coeffs(NamedTuple):
    """A schedule and its time derivatives at t; every field is f[...] like t."""

    t: Float[Array, "..."]
    alpha: Float[Array, "..."]
    sigma: Float[Array, "..."]
    d_alpha: Float[Array, "..."]
    d_sigma: Float[Array, "..."]
    log_snr: Float[Array, "..."]


class Denoised(NamedTuple):
    """What a denoiser returns. Every field has the shape of x_t, f[b, ...].

    x0:         the estimate of the data
    var_frac:   the learned variance as a fraction in [0, 1] (posterior.py, eq. 4);
                None if the network does not predict a variance
    eps:        the estimate of the noise. None means (x_t - alpha x0) / sigma. Wrappers
                that change x0 but keep the noise set it.
    mean_shift: a term that an ancestral step multiplies by its variance and adds to its
                mean (guidance.py, eq. 3), or None
    """

    x0: Array
    var_frac: Array | None = None
    eps: Array | None = None
    mean_shift: Array | None = None


@runtime_checkable
class Network(Protocol):
    """(x_t f[b, ...], c of f[b], cond) -> out f[b, ...].

    If the network predicts a variance, the last axis of `out` is twice that of x_t.
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

    schedule: the schedule of both estimates; None if the rule does not use it
    main:     the estimate to move towards: conditional, or from the better model
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
    """Turns a denoiser into one whose x0 agrees with known values.

    (denoise, schedule, values, known) -> Denoise

    values: the known values, in model units, f[b, ...], or f[...] for every example
    known:  where they belong: a mask of 0 and 1, or bool, that broadcasts against x_t;
            or another linear map of x0 (inverse_problems.py)
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
    """The noise of one step: () -> z f[b, ...]. Every call returns the same z.

    Further draws are named by numbers, which may be traced: noise(i) and noise(i, j)
    are independent of noise() and of each other.
    """

    def __call__(self, *where: int | Array) -> Array: ...


@runtime_checkable
class SolverInit(Protocol):
    """x f[b, ...] -> state, the solver's memory before the first step.

    The last axes of every leaf must broadcast against x, so that each example has its
    own part of the memory.
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
