"""The moments of a solver's samples against those of data with a closed form.

(1)  x0 = R y,  y in the plane from a mixture (analytic.py),  R a rotation
(2)  E[x0 | x_t] = R E[y | R' x_t],  since the noise is the same in all directions
(3)  score = (mean of f over the samples - E f(x0)) / standard error of the mean,
     f one of five: two values, their two squares and their product, all centred

If the samples have the distribution of the data, each score is standard normal. If the
steps are too long, or the noise has the wrong size, some score is far larger.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxdiff import rng
from jaxdiff.arrays import Array, Float, PyTree
from jaxdiff.diffusion import analytic, grids, sampling
from jaxdiff.diffusion.analytic import Mixture
from jaxdiff.diffusion.types import Denoised, Schedule, Solver, Times

# Distributions of y, and R, which makes the two values of x0 depend on one another.
HALVES = np.full((2, 2), 0.5)
LAWS = {
    "normal": Mixture(HALVES, np.array([[0.3, -0.2]] * 2), np.array([[0.5, 0.25]] * 2)),
    "two modes": Mixture(
        HALVES, np.array([[-1.0, 0.3], [1.0, 0.3]]), np.array([[0.4, 0.5]] * 2)
    ),
}
TURN = np.array([[0.8, -0.6], [0.6, 0.8]])


def largest_score(
    law: Mixture,
    solver: Solver,
    schedule: Schedule,
    num_steps: int,
    *,
    num: int,
    seed: int,
) -> float:
    """The largest |score| of equation 3, over the five f, for `num` samples.

    Args:    law: the distribution of y: two equally likely normals that differ only in
             their means, as those of LAWS.
             num_steps: of Karras' grid, down to the data.
             seed: of the start and of the solver's noise.
    Returns: in standard errors.
    """
    ts = jnp.asarray(grids.karras(schedule, num_steps), jnp.float32)
    key = jax.random.key(seed)
    x0 = jnp.asarray(_drawn(law, num, seed), jnp.float32)
    z = jax.random.normal(jax.random.fold_in(key, num), x0.shape)
    # the grid may begin below t = 1, where x_T is not noise alone
    x_T = schedule.alpha(ts[0]) * x0 + schedule.sigma(ts[0]) * z
    seeds = rng.split_by(key, jnp.arange(num))
    denoise = Partial(_turned, law, schedule)
    x = np.asarray(sampling.sample(seeds, denoise, solver, ts, x_T), np.float64)
    return float(np.abs(_scores(law, x)).max())


def _drawn(law: Mixture, num: int, seed: int) -> Float[np.ndarray, "n 2"]:
    """x0 by equation 1."""
    gen = np.random.default_rng(seed)
    modes = np.where(gen.random((num, 1)) < 0.5, *law.means)
    return (modes + law.stds[0] * gen.standard_normal((num, 2))) @ TURN.T


def _turned(
    law: Mixture, schedule: Schedule, x_t: Float[Array, "n 2"], t: Times, cond: PyTree
) -> Denoised:
    """The exact denoiser, equation 2, with a learned variance fraction of 1/4."""
    turn = jnp.asarray(TURN, x_t.dtype)
    den = analytic.make_denoise(law, schedule)(x_t @ turn, t, cond)
    return Denoised(den.x0 @ turn.T, jnp.full_like(x_t, 0.25))


def _scores(law: Mixture, x: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "5"]:
    """Equation 3 for the two means, the two variances and the covariance."""
    mean, variance = analytic.moments(law)
    cov = TURN @ np.diag(variance) @ TURN.T
    gaps = x - TURN @ mean
    pairs = [gaps[:, i] * gaps[:, j] - cov[i, j] for i, j in ((0, 0), (1, 1), (0, 1))]
    values = np.stack([*gaps.T, *pairs])
    return values.mean(axis=1) / (values.std(axis=1) / np.sqrt(len(x)))
