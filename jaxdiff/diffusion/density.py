"""The density of data under a model: log p(x0) along the probability-flow ODE.

(1)  y = x / (alpha + sigma),  u = sigma / (alpha + sigma):   dy/du = eps_hat - x0_hat
     The right-hand side is finite everywhere, for every schedule. The time variable is
     the log-SNR lam, with u = 1 / (1 + e^(lam / 2)) and du/dlam = -u (1 - u) / 2.
(2)  log p(x0) = log N(x_1; 0, sigma_1^2) + D log((alpha_1 + sigma_1) (1 - u_0))
                 + integral of div(dy/dlam) dlam from the data to the noise
     The integral starts at y = (1 - u_0) x0, the cleanest level; D is the number of
     values of x0.
(3)  div f is the trace of the Jacobian J of f. It is computed exactly by D forward
     derivatives, or estimated without bias by v . (J v), where v has mean 0 and
     variance 1 (Hutchinson).

The step size is adaptive (diffrax, Tsitouras 5(4)), so examples take different numbers
of steps. The density is that of real-valued data. For data on discrete levels, first
spread the values evenly over their levels and subtract the log of a level's width: this
gives a lower bound on the log P of the levels.
Source: Song et al. 2021, arXiv:2011.13456, appendix D.2; Grathwohl et al. 2019,
arXiv:1810.01367, for (3).
"""

from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
from jax.scipy.stats import norm

from jaxdiff import rng
from jaxdiff.arrays import Array, Float, Key, PyTree, require
from jaxdiff.diffusion.likelihood import log_snrs
from jaxdiff.diffusion.types import Denoise, Schedule

# The most steps of the ODE for one example; diffrax raises if they are not enough.
MAX_STEPS = 10_000


class Density(NamedTuple):
    """log_p: in nats, f[b].  steps: steps of the ODE, accepted and rejected, i32[b]."""

    log_p: Array
    steps: Array


def log_density(
    denoise: Denoise,
    schedule: Schedule,
    x0: Float[Array, "b ..."],
    cond: PyTree = None,
    *,
    probes: Float[Array, "b k ..."] | None = None,
    tolerance: float | Array = 1e-5,
    cleanest: float | Array = 1e-3,
) -> Density:
    """The log-density of each example, equation 2.

    Args:    x0: f[b, ...] in model units.
             cond: passed to the denoiser, leading with b.
             probes: the v of equation 3, k per example, from `draw_probes`; None for
             the exact trace.  tolerance: of the solution, relative and absolute.
             cleanest: sigma / alpha at which the path begins, or that of t = 0 if the
             schedule is noisier there; finer detail is not resolved.
    Returns: Density, log_p in nats.
    Errors:  diffrax raises if MAX_STEPS are not enough.
    """
    noisy, clean = log_snrs(schedule, jnp.asarray(cleanest, x0.dtype))
    control = diffrax.PIDController(rtol=tolerance, atol=tolerance)

    def flow(lam: Array, y: Array, cond: PyTree) -> Array:
        """dy/dlam of one example."""
        u = _share(lam)
        t = jnp.clip(schedule.t_of(lam), 0.0, 1.0)
        some = jax.tree.map(lambda a: a[None], cond)
        # x = (alpha + sigma) y at the scale of the schedule, whatever that is
        scale = schedule.alpha(t) + schedule.sigma(t)
        x0_hat = denoise((scale * y)[None], t, some).x0[0]
        return -0.5 * (1 - u) * (y - x0_hat)  # eps - x0 = (y - x0) / u

    def both(
        lam: Any, state: tuple[Array, Array], args: tuple[PyTree, Array | None]
    ) -> tuple[Array, Array]:
        cond, v = args
        y, _ = state

        def f(y: Array) -> Array:
            return flow(lam, y, cond)

        basis = jnp.eye(y.size, dtype=y.dtype).reshape(-1, *y.shape)
        along = basis if v is None else v
        slopes = jax.vmap(lambda e: jnp.vdot(e, jax.jvp(f, (y,), (e,))[1]))(along)
        return f(y), slopes.sum() if v is None else slopes.mean()

    def one(x0: Array, cond: PyTree, v: Array | None) -> tuple[Array, Array]:
        start = (1 - _share(clean)) * x0, jnp.zeros((), x0.dtype)
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(both),
            diffrax.Tsit5(),
            clean,
            noisy,
            None,
            start,
            args=(cond, v),
            stepsize_controller=control,
            max_steps=MAX_STEPS,
        )
        y, div = jax.tree.map(lambda a: a[0], solution.ys)
        sigma = schedule.sigma(schedule.t_of(noisy))
        scale = sigma / _share(noisy)  # alpha + sigma
        ends = norm.logpdf(y * scale / sigma) - jnp.log(sigma)
        size = jnp.log(scale) + jnp.log1p(-_share(clean))
        return ends.sum() + x0.size * size + div, solution.stats["num_steps"]

    return Density(*jax.vmap(one)(x0, cond, probes))


def draw_probes(
    keys: Key[Array, "b"], shape: tuple[int, ...], num: int = 1, normal: bool = False
) -> Float[Array, "b num ..."]:
    """The v of equation 3: Rademacher vectors (+-1, least variance) or normal ones.

    Args:    keys: one per example.  shape: of one x0.  num: probes per example.
             normal: draw from N(0, 1) instead of {-1, 1}.
    Returns: f[b, num, *shape].
    Errors:  ValueError for num < 1.
    """
    require(num >= 1, f"num must be at least 1, got {num=}")
    random = jax.random.normal if normal else jax.random.rademacher
    return rng.draw(random, keys, (num, *shape))


def _share(lam: Array) -> Array:
    """u of equation 1."""
    return jax.nn.sigmoid(-lam / 2)
