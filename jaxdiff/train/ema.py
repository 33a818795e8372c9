"""Exponential moving averages of the parameters.

(1)  ema <- beta(n) ema + (1 - beta(n)) params          n = 1 after the first step

Each name in `__all__` can be chosen by a config and makes beta: n -> f32[]. The average
starts at the initial parameters. Decays that warm up forget these, so no bias has to be
corrected.

Several averages are kept side by side as a tuple, the run's own first. From snapshots
of two `power` averages, one of any width is reconstructed after training
(`reconstruct`).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, Int, PyTree, require

__all__ = ["constant", "half_life", "power", "warmup"]

Decay = Callable[[Int[Array, ""]], Float[Array, ""]]


def constant(decay: float = 0.999) -> Decay:
    """beta = decay, for long runs: the initial parameters keep the share decay^n.

    Errors: ValueError unless 0 <= decay < 1.
    """
    require(0 <= decay < 1, f"decay must be in [0, 1), got {decay=}")
    return Partial(_constant, decay)


def warmup(decay: float = 0.9999, exponent: float = 0.75) -> Decay:
    """beta = min(decay, 1 - (1 + n)^-exponent), which forgets the initial parameters.

    An exponent of 3/4 reaches .999 after 10 thousand steps and .9999 after 215
    thousand; 2/3 is for longer runs.

    Errors: ValueError unless 0 <= decay < 1 and 0 < exponent <= 1.
    """
    require(0 <= decay < 1, f"decay must be in [0, 1), got {decay=}")
    require(0 < exponent <= 1, f"exponent must be in (0, 1], got {exponent=}")
    return Partial(_warmup, decay, exponent)


def half_life(images: float = 500_000.0, batch_size: int = 512) -> Decay:
    """beta = .5^(batch / min(half_life, .05 images seen)), all counted in images.

    Args:   images: the half-life.  batch_size: examples per step.
    Errors: ValueError if images <= 0.
    Source: Karras et al. 2022, arXiv:2206.00364, appendix F.
    """
    require(images > 0, f"images must be > 0, got {images=}")
    return Partial(_half_life, images, float(batch_size))


def power(width: float = 0.1) -> Decay:
    """beta = (1 - 1/n)^(gamma + 1): the average's width is a share of the training.

    Args:   width: standard deviation of the profile relative to its end, see
            `gamma_of`.
    Source: Karras et al. 2024, arXiv:2312.02696, eq. 127.
    """
    return Partial(_power, gamma_of(width))


def start(params: PyTree, powers: int = 0) -> PyTree:
    """The averages at step 0: *copies*, since the training step donates its buffers.

    Args:    powers: number of averages beside the run's own.
    Returns: a tree like params, or with powers > 0 a tuple of 1 + powers of them.
    """
    first, *others = (jax.tree.map(jnp.copy, params) for _ in range(1 + powers))
    return (first, *others) if others else first


def primary(ema: PyTree) -> PyTree:
    """The run's own average, out of those of a state."""
    return ema[0] if isinstance(ema, tuple) else ema


def advance(
    ema: PyTree, params: PyTree, n: Int[Array, ""], decay: Decay | tuple[Decay, ...]
) -> PyTree:
    """One step of one average, or of a tuple of averages with a decay each."""
    if not isinstance(decay, tuple):
        return update(ema, params, decay(n))
    both = zip(ema, decay, strict=True)
    return tuple(update(one, params, beta(n)) for one, beta in both)


def update(ema: PyTree, params: PyTree, beta: Float[Array, ""]) -> PyTree:
    """Equation 1, in the precision of the parameters."""
    return jax.tree.map(lambda e, p: e + (1 - beta) * (p - e), ema, params)


def gamma_of(width: float) -> float:
    """The exponent gamma of the power profile with this relative standard deviation.

    width^2 = (gamma + 1) / ((gamma + 2)^2 (gamma + 3))

    Errors: ValueError unless 0 < width < 12^-1/2.
    """
    require(
        1e-6 <= width < 12**-0.5,
        f"width must be in [1e-6, {12**-0.5:.4f}), got {width=}",
    )
    w = width**-2
    roots = np.roots([1.0, 7.0, 16.0 - w, 12.0 - w])
    return float(roots.real.max())


def reconstruct(
    times: np.ndarray, gammas: np.ndarray, time: float, gamma: float
) -> np.ndarray:
    """Weights of stored snapshots whose sum is nearest to another power profile.

    The least-squares solution is divided by its sum: weights that do not sum to 1 would
    shrink every parameter.

    Args:    times, gammas: f64[n], the step and the profile of each snapshot.
             time, gamma: those of the average to reconstruct.
    Returns: f64[n]; ema = sum_i weights[i] snapshot[i].
    Source:  Karras et al. 2024, arXiv:2312.02696, algorithm 3 (least squares on the
             profiles' inner products, eq. 125), and the authors' released code for
             the sum.
    """
    times, gammas = np.asarray(times, float), np.asarray(gammas, float)
    gram = _inner(times[:, None], gammas[:, None], times[None], gammas[None])
    goal = _inner(times, gammas, np.float64(time), np.float64(gamma))
    weights = np.linalg.lstsq(gram, goal, rcond=None)[0]
    return weights / weights.sum()


def _inner(t_a, gamma_a, t_b, gamma_b):
    """The integral, from 0 to min(t_a, t_b), of the product of two power profiles.

    A profile is (gamma + 1) t^gamma / t_end^(gamma + 1), for t up to t_end.
    """
    first = np.minimum(t_a, t_b)
    log = gamma_a * np.log(first / t_a) + gamma_b * np.log(first / t_b)
    scale = (gamma_a + 1) * (gamma_b + 1) / (gamma_a + gamma_b + 1)
    return scale * np.exp(log) * first / (t_a * t_b)


def _constant(decay, n):
    return decay + 0.0 * n


def _warmup(decay, exponent, n):
    return jnp.minimum(decay, 1 - (1.0 + n) ** -exponent)


def _half_life(images, batch_size, n):
    seen = n * batch_size
    return 0.5 ** (batch_size / jnp.minimum(images, 0.05 * seen))


def _power(gamma, n):
    return (1 - 1.0 / n) ** (gamma + 1)
