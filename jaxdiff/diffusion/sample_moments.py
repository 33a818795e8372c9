"""The moments of a solver's samples, where those of the data are in closed form.

(1)  x0 = R y,  y of a mixture of two normals in the plane (analytic.py), R a rotation
(2)  E[x0 | x_t] = R E[y | R' x_t],  since noise is the same in all directions
(3)  score = (mean over samples of f(x) - E f(x0)) / standard error,
     f each value less its mean, and each product of two less their covariance

A solver whose samples have the law of the data scores as a normal does. One whose steps
are too long, or whose noise is of the wrong size, is many standard errors off.
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

# Laws of y, and R, which gives their covariances all their entries.
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
    """The largest |score| of equation 3 over the five f, of `num` samples.

    Args: law: of y, one of LAWS or another of two equally likely normals that differ
          in their means alone.  num_steps: down Karras' grid to the data.
    """
    ts = jnp.asarray(grids.karras(schedule, num_steps), jnp.float32)
    key = jax.random.key(seed)
    x0 = jnp.asarray(_drawn(law, num, seed), jnp.float32)
    z = jax.random.normal(jax.random.fold_in(key, num), x0.shape)
    # from noised data: at the first time of the grid they are not noise alone
    x_T = schedule.alpha(ts[0]) * x0 + schedule.sigma(ts[0]) * z
    seeds = rng.split_by(key, jnp.arange(num))
    denoise = Partial(_turned, law, schedule)
    x = np.asarray(sampling.sample(seeds, denoise, solver, ts, x_T), np.float64)
    return float(np.abs(_scores(law, x)).max())


def _drawn(law: Mixture, num: int, seed: int) -> Float[np.ndarray, "n 2"]:
    """Of the law of x0 itself."""
    gen = np.random.default_rng(seed)
    modes = np.where(gen.random((num, 1)) < 0.5, *law.means)
    return (modes + law.stds[0] * gen.standard_normal((num, 2))) @ TURN.T


def _turned(
    law: Mixture, schedule: Schedule, x_t: Float[Array, "n 2"], t: Times, cond: PyTree
) -> Denoised:
    """Equation 2."""
    turn = jnp.asarray(TURN, x_t.dtype)
    den = analytic.make_denoise(law, schedule)(x_t @ turn, t, cond)
    return Denoised(den.x0 @ turn.T, jnp.full_like(x_t, 0.25))


def _scores(law: Mixture, x: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "5"]:
    """Equation 3: of two means, two variances and the covariance."""
    mean, variance = analytic.moments(law)
    cov = TURN @ np.diag(variance) @ TURN.T
    gaps = x - TURN @ mean
    pairs = [gaps[:, i] * gaps[:, j] - cov[i, j] for i, j in ((0, 0), (1, 1), (0, 1))]
    values = np.stack([*gaps.T, *pairs])
    return values.mean(axis=1) / (values.std(axis=1) / np.sqrt(len(x)))
