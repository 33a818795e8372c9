"""Guidance: denoiser -> denoiser.

(1)  x0 = x0_null + scale (x0_cond - x0_null)      classifier-free

At fixed x_t and t, x0, eps and v are affine in one another with the same coefficients
for both calls, so guiding any of them is guiding all of them.
"""

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, PyTree
from jaxdiff.diffusion.denoisers import Denoise


def cfg(denoise: Denoise, null: PyTree, scale: float | Float[Array, ""]) -> Denoise:
    """Classifier-free guidance, equation 1, as one doubled batch.

    Args:   null: the condition that means "none", shaped as one example's (for labels
            an int).  scale: no unit; 0 is the unconditional model, 1 the conditional.
    Source: Ho & Salimans 2022, arXiv:2207.12598 (their w is scale - 1).
    """
    return Partial(_cfg, denoise, null, scale)


def _cfg(denoise, null, scale, x_t, t, cond):
    def double(c, n):
        n = jnp.broadcast_to(jnp.asarray(n, c.dtype), c.shape)
        return jnp.concatenate([c, n])

    times = jnp.broadcast_to(t, x_t.shape[:1])
    den = denoise(
        jnp.concatenate([x_t, x_t]),
        jnp.concatenate([times, times]),
        jax.tree.map(double, cond, null),
    )
    own = jax.tree.map(lambda a: jnp.split(a, 2)[0], den)
    none = jax.tree.map(lambda a: jnp.split(a, 2)[1], den)
    guide = lambda c, n: n + scale * (c - n)  # noqa: E731
    eps = None if own.eps is None else guide(own.eps, none.eps)
    return own._replace(x0=guide(own.x0, none.x0), eps=eps)
