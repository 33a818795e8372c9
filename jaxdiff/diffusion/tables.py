"""DDPM's tables in float64 numpy: betas f64[T] and what follows from them.

(1)  alpha_bar[i] = prod_{j <= i} (1 - beta[j])
(2)  subset of steps: entry i of a table belongs to t = (i + 1) / T, so a respaced
     sampler is the same schedule on fewer times (see grids.py); no table is rebuilt
"""

import numpy as np

from jaxdiff.arrays import require

Table = np.ndarray


def alpha_bar(betas: Table) -> Table:
    """Equation 1: f64[T] -> f64[T]."""
    return np.cumprod(1.0 - betas)


def linear(num_steps: int, beta_start: float = 1e-4, beta_end: float = 0.02) -> Table:
    """Equally spaced betas. Ho et al. 2020, arXiv:2006.11239, section 4.

    The ends belong to T = 1000 and are scaled by 1000 / T, so that other T end in
    nearly the same noise (Nichol & Dhariwal 2021, arXiv:2102.09672).
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


def scaled_linear(
    num_steps: int, beta_start: float = 0.00085, beta_end: float = 0.012
) -> Table:
    """Betas linear in their square root. Rombach et al. 2022, arXiv:2112.10752."""
    _check(num_steps)
    require(
        0 < beta_start <= beta_end < 1,
        f"need 0 < beta_start <= beta_end < 1, got {beta_start=}, {beta_end=}",
    )
    return np.linspace(beta_start**0.5, beta_end**0.5, num_steps) ** 2


def cosine(num_steps: int, s: float = 0.008, max_beta: float = 0.999) -> Table:
    """Betas of alpha_bar ~ cos^2((t + s) / (1 + s) pi / 2), capped at max_beta.

    Source: Nichol & Dhariwal 2021, arXiv:2102.09672, eq. 17.
    """
    _check(num_steps)
    require(
        s >= 0 and 0 < max_beta < 1,
        f"need s >= 0 and 0 < max_beta < 1, got {s=}, {max_beta=}",
    )
    t = np.arange(num_steps + 1) / num_steps
    bar = np.cos((t + s) / (1 + s) * np.pi / 2) ** 2
    return np.minimum(1 - bar[1:] / bar[:-1], max_beta)


def zero_terminal_snr(bar: Table) -> Table:
    """Shift and stretch sqrt(alpha_bar) so that its last is 0 and its first is kept.

    Source: Lin et al. 2023, arXiv:2305.08891, algorithm 1.
    """
    root = np.sqrt(bar)
    return ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2


def _check(num_steps):
    require(num_steps >= 2, f"a table needs num_steps >= 2, got {num_steps=}")
