"""DDPM's tables: betas f64[T] in numpy, and the schedules that interpolate them.

(1)  alpha_bar[i] = prod_{j <= i} (1 - beta[j])
(2)  alpha((i + 1) / T)^2 = alpha_bar[i],  alpha(0) = 1

A respaced sampler uses the same schedule at fewer times (grids.py), so no table is
computed again.
"""

import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jax.typing import ArrayLike

from jaxdiff.arrays import Array, Float, require
from jaxdiff.diffusion.schedules.pairs import from_log_alpha_bar
from jaxdiff.diffusion.types import Schedule

Table = np.ndarray

# A typing error such as 10^12 would exhaust the memory.
MOST_STEPS = 1_000_000


def from_alpha_bar(alpha_bar: ArrayLike) -> Schedule:
    """The schedule through a table of alpha_bar (eq. 2), log-linear in between.

    Args:    alpha_bar: f64[T], no unit.
    Errors:  ValueError unless the table falls strictly inside (0, 1).
    """
    table = np.asarray(alpha_bar, np.float64)
    falls = table.ndim == 1 and np.all(np.diff(table) < 0)
    require(
        falls and 0 < table[-1] and table[0] < 1,
        "alpha_bar must be one axis that falls strictly inside (0, 1), got "
        f"{table.shape=} from {table.max()} to {table.min()}",
    )
    log_bar = np.concatenate([[0.0], np.log(table)])
    args = (np.linspace(0.0, 1.0, len(log_bar)), log_bar)
    return from_log_alpha_bar(Partial(_table, *args), Partial(_table_t, *args))


def _table(
    times: Table | Array, log_bar: Table | Array, t: Float[Array, "*b"]
) -> Float[Array, "*b"]:
    return jnp.interp(t, times, log_bar)


def _table_t(
    times: Table | Array, log_bar: Table | Array, value: Float[Array, "*b"]
) -> Float[Array, "*b"]:
    return jnp.interp(-value, -log_bar, times)


def to_alpha_bar(betas: Table) -> Table:
    """Equation 1, f64[T] -> f64[T]."""
    return np.cumprod(1.0 - betas)


def zero_terminal_snr(bar: Table) -> Table:
    """Shift and stretch sqrt(alpha_bar) so that it ends at 0 and its first entry stays.

    Source: Lin et al. 2023, arXiv:2305.08891, algorithm 1.
    """
    root = np.sqrt(bar)
    return ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2


def linear_beta(
    num_steps: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02
) -> Schedule:
    """DDPM's table: betas that are linear in the step.

    Args:    num_steps: T.  beta_start, beta_end: for T = 1000; see `linear_betas`.
    Errors:  ValueError for fewer than 2 steps, or unless the betas rise inside (0, 1).
    Source:  Ho et al. 2020, arXiv:2006.11239, section 4.
    """
    betas = linear_betas(num_steps, beta_start, beta_end)
    return from_alpha_bar(to_alpha_bar(betas))


def linear_betas(
    num_steps: int, beta_start: float = 1e-4, beta_end: float = 0.02
) -> Table:
    """Equally spaced betas, f64[T].

    beta_start and beta_end are meant for T = 1000. They are multiplied by 1000 / T, so
    that tables of other lengths end at nearly the same noise (Nichol & Dhariwal 2021,
    arXiv:2102.09672).
    """
    _check(num_steps)
    scale = 1000 / num_steps
    betas = np.linspace(scale * beta_start, scale * beta_end, num_steps)
    require(
        0 < betas[0] <= betas[-1] < 1,
        f"betas must rise inside (0, 1), got {betas[0]:.4g} to {betas[-1]:.4g} from "
        f"{num_steps=}, {beta_start=}, {beta_end=}",
    )
    return betas


def scaled_linear_beta(
    num_steps: int = 1000, beta_start: float = 0.00085, beta_end: float = 0.012
) -> Schedule:
    """Latent diffusion's table: betas whose square roots are linear in the step.

    Args:    num_steps: T.  beta_start, beta_end: the ends, no unit.
    Errors:  ValueError for fewer than 2 steps, or if the betas do not rise inside (0,
             1).
    Source:  Rombach et al. 2022, arXiv:2112.10752.
    """
    betas = scaled_linear_betas(num_steps, beta_start, beta_end)
    return from_alpha_bar(to_alpha_bar(betas))


def scaled_linear_betas(num_steps: int, beta_start: float, beta_end: float) -> Table:
    """Betas whose square roots are equally spaced, f64[T]."""
    _check(num_steps)
    require(
        0 < beta_start <= beta_end < 1,
        f"need 0 < beta_start <= beta_end < 1, got {beta_start=}, {beta_end=}",
    )
    return np.linspace(beta_start**0.5, beta_end**0.5, num_steps) ** 2


def cosine_beta(
    num_steps: int = 1000, s: float = 0.008, max_beta: float = 0.999
) -> Schedule:
    """alpha_bar ~ cos^2((t + s) / (1 + s) pi / 2), with no beta above max_beta.

    Args:    num_steps: T.  s: offset at t = 0, no unit.  max_beta: no unit.
    Errors:  ValueError for fewer than 2 steps, s < 0, or max_beta outside (0, 1).
    Source:  Nichol & Dhariwal 2021, arXiv:2102.09672, eq. 17.
    """
    return from_alpha_bar(to_alpha_bar(cosine_betas(num_steps, s, max_beta)))


def cosine_betas(num_steps: int, s: float = 0.008, max_beta: float = 0.999) -> Table:
    """The betas of `cosine_beta`, f64[T]."""
    _check(num_steps)
    require(
        s >= 0 and 0 < max_beta < 1,
        f"need s >= 0 and 0 < max_beta < 1, got {s=}, {max_beta=}",
    )
    t = np.arange(num_steps + 1) / num_steps
    bar = np.cos((t + s) / (1 + s) * np.pi / 2) ** 2
    return np.minimum(1 - bar[1:] / bar[:-1], max_beta)


def _check(num_steps: int) -> None:
    require(
        2 <= num_steps <= MOST_STEPS,
        f"a table needs num_steps >= 2 and at most {MOST_STEPS:,}, got {num_steps=}",
    )
