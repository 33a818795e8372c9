"""Bits per dimension (bpd) of data under a model: -log2 p(x0) over the values of x0.

Three estimates, from the cheapest: two bounds (likelihood.py), and the density of the
probability-flow ODE (density.py). Pixels lie on levels. A bound's decoder gives each
level a probability of its own. For the flow, which has a density, pixels are spread
evenly over their levels, of width w in model units:

(1)  log P(level) >= E log p(x0 + w u) + log w,   u ~ U(-1/2, 1/2) for each value

So the flow's estimate is a bound as well. Of real numbers, which have no levels, bpd
are of a density in model units, and can be negative.
Source: Theis et al. 2016, arXiv:1511.01844, section 3.1, for (1).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdiff import rng
from jaxdiff.arrays import Array, Float, Key, PyTree, require
from jaxdiff.diffusion import likelihood
from jaxdiff.diffusion.types import Denoise, Schedule

__all__ = ["continuous", "discrete", "flow"]

# Nearer to the data than this sigma / alpha, noise is lost in float32's rounding.
LEAST = 1e-6
# Of so few values the exact divergence costs no more than a few probes.
FEW = 16

# Of each example: "total", the bpd f[b], and what it is made of, f[..., b].
Parts = dict[str, Array]


class Model(NamedTuple):
    """What an estimate needs of a model: a value, the same for all examples.

    decoder:  of a bound's last step, likelihood.levels or likelihood.density
    cleanest: f[], sigma / alpha at which the continuous bound and the flow begin
    width:    of a level in model units, f[] or f[c]; 0 for real numbers
    frac:     the discrete bound's variance, if the model has not learned one: 0 is the
              small, 1 the large (posterior.py, eq. 4)
    """

    denoise: Denoise
    schedule: Schedule
    decoder: likelihood.Decoder
    cleanest: float | Array
    width: float | Array
    frac: float | Array = 0.0


def continuous(
    model: Model,
    keys: Key[Array, "b"],
    x0: Float[Array, "b ..."],
    cond: PyTree = None,
    num: int = 100,
) -> Parts:
    """The bound of infinitely many steps, its integral taken by `num` terms.

    Args:    keys: one an example.  cond: passed to the denoiser.
    Returns: total, prior, decoder f[b]; the terms and their log-SNR, steps and at
             f[num, b].
    Errors:  ValueError for num < 1.
    """
    how = {"decoder": model.decoder, "num": num, "cleanest": model.cleanest}
    bound = likelihood.continuous(keys, model.denoise, model.schedule, x0, cond, **how)
    first, last = likelihood.log_snrs(
        model.schedule, jnp.asarray(model.cleanest, x0.dtype)
    )
    at = first + (jnp.arange(num) + 0.5) / num * (last - first)
    return _parts(bound, at, x0)


def discrete(
    model: Model,
    keys: Key[Array, "b"],
    x0: Float[Array, "b ..."],
    cond: PyTree = None,
    num: int = 100,
) -> Parts:
    """The bound of `num` >= 2 even steps in t. Args: as `continuous`.

    Returns: total, prior, decoder f[b]; the other steps and the log-SNR that each
             starts from, steps and at f[num - 1, b].
    """
    ts = jnp.linspace(1, 0, num + 1, dtype=x0.dtype)
    args = keys, model.denoise, model.schedule, ts, x0, cond
    bound = likelihood.discrete(*args, decoder=model.decoder, frac=model.frac)
    at = jnp.maximum(model.schedule.log_snr(ts[:-2]), likelihood.NOISIEST)
    return _parts(bound, at, x0)


def check_steps(schedule: Schedule, num: int, estimates: Sequence[str]) -> None:
    """Errors: ValueError where there are too few steps, or where those of the discrete
    bound come too near to the data.
    """
    require(num >= 2, f"--steps must be at least 2, got {num}")
    t = jnp.asarray(1 / num)
    ratio = float(schedule.sigma(t) / schedule.alpha(t))
    require(
        ratio >= LEAST or "discrete" not in estimates,
        f"the estimate 'discrete' in {num} steps ends at sigma / alpha = {ratio:.1g}, "
        f"less than {LEAST:g}, which float32 does not resolve on this schedule; take "
        "the estimate 'continuous', or fewer steps",
    )


def _parts(
    bound: likelihood.Bound, at: Float[Array, "n"], x0: Float[Array, "b ..."]
) -> Parts:
    at = jnp.broadcast_to(at[:, None], (len(at), len(x0)))
    return {**bound._asdict(), "total": bound.total, "at": at}


def flow(
    model: Model,
    keys: Key[Array, "b"],
    x0: Float[Array, "b ..."],
    cond: PyTree = None,
    num: int = 0,
) -> Parts:
    """The flow's density, of pixels by equation 1. Args: as `continuous`.

    num: of no use here, for the ODE's steps are adaptive.
    Returns: total f[b] and the number of these steps, ode_steps f[b].
    Errors:  ModuleNotFoundError without the extra "likelihood".
    """
    from jaxdiff.diffusion import density  # the bounds need no extra

    del num
    shape, size = x0.shape[1:], x0[0].size
    width = jnp.broadcast_to(model.width, shape)
    spread = rng.draw(jax.random.uniform, rng.fold(keys, 0), shape) - 0.5
    probes = density.draw_probes(rng.fold(keys, 1), shape) if size > FEW else None
    result = density.log_density(
        model.denoise,
        model.schedule,
        x0 + spread * width[None],
        cond,
        probes=probes,
        cleanest=model.cleanest,
    )
    nats = result.log_p + jnp.log(jnp.where(width > 0, width, 1.0)).sum()
    ode_steps = result.steps.astype(x0.dtype)
    return {"total": -nats / size / jnp.log(2.0), "ode_steps": ode_steps}
