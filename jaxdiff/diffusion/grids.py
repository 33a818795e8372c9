"""Grids: the times of the steps that a sampler takes, from noise down to 0.

Every maker takes (schedule, num_steps) and returns f64[num_steps + 1] in numpy. The
first time is 1, or that of the noisiest level requested, and the last is 0. A maker
raises ValueError unless num_steps >= 1 and the times fall strictly, within [0, 1], in
float32, in which samplers take them. Grids are computed before tracing and given to the
sampler as an array, so a grid can also be swept, fitted or written by hand. Each name
in `__all__` can be chosen by a config.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
import scipy

from jaxdiff.arrays import require
from jaxdiff.diffusion.respacing import respaced_steps
from jaxdiff.diffusion.types import Schedule

__all__ = [
    "auto",
    "beta",
    "discrete",
    "exponential",
    "karras",
    "log_snr",
    "quadratic",
    "respaced",
    "shifted",
    "uniform",
    "written",
]

Grid = np.ndarray

SPACINGS = ("leading", "linspace", "trailing")

# Grids in noise level take the schedule's level at this time before they step to 0.
CLEANEST = 1e-3
# Steps, and entries of a table: no solver gains by more, and a typing error such as
# 10^12 would exhaust the memory.
MOST_STEPS, MOST_ENTRIES = 100_000, 1_000_000


def auto(
    schedule: Schedule, num_steps: int, stated: Callable[..., Grid] | None = None
) -> Grid:
    """The grid that the solver states (solvers.grid_of), or else `uniform`.

    Args:   stated: what the solver states, a maker of this module.
    """
    return (stated or uniform)(schedule, num_steps)


def uniform(schedule: Schedule, num_steps: int) -> Grid:
    """Equal steps in t. On the EDM schedule these are the Karras steps in sigma."""
    del schedule
    return _checked(_even(num_steps), num_steps)


def _even(num_steps: int) -> Grid:
    _require_steps(num_steps)
    return np.linspace(1.0, 0.0, num_steps + 1)


def _checked(ts: np.ndarray, num_steps: int) -> Grid:
    _require_steps(num_steps)
    single = ts.astype(np.float32)
    require(
        bool(np.all(np.diff(single) < 0)),  # false for nan
        f"the grid must fall strictly in float32, got {_few(ts)}; take fewer steps, "
        "or another grid",
    )
    inside = 0 <= single[-1] and single[0] <= 1
    require(inside, f"the grid must be in [0, 1], got {_few(ts)}; take another grid")
    return ts


def _few(ts: np.ndarray) -> str:
    """The times as text; of many the first and last few."""
    return np.array2string(ts, 1000, 9, threshold=12, separator=", ")


def _require_steps(num_steps: int) -> None:
    require(
        1 <= num_steps <= MOST_STEPS,
        f"num_steps must be at least 1 and at most {MOST_STEPS}, got {num_steps=}",
    )


def quadratic(schedule: Schedule, num_steps: int) -> Grid:
    """Equal steps in sqrt(t), so that steps are short near the data.

    Source: Song et al. 2021, arXiv:2010.02502, appendix D.2.
    """
    del schedule
    return _checked(_even(num_steps) ** 2, num_steps)


def shifted(schedule: Schedule, num_steps: int, shift: float = 3.0) -> Grid:
    """Equal steps in u with t = shift u / (1 + (shift - 1) u).

    A shift above 1 takes longer steps at the noisy end. On the linear mix it multiplies
    sigma / alpha by shift, as images with shift^2 times as many pixels need.

    Args:   shift: no unit; 1 gives `uniform`.
    Errors: ValueError if shift <= 0.
    Source: Esser et al. 2024, arXiv:2403.03206, eq. 23.
    """
    del schedule
    require(shift > 0, f"shift must be above 0, got {shift=}")
    t = _even(num_steps)
    return _checked(shift * t / (1 + (shift - 1) * t), num_steps)


def beta(schedule: Schedule, num_steps: int, a: float = 0.6, b: float = 0.6) -> Grid:
    """Quantiles of the Beta(a, b) distribution.

    Below 1, a and b make the steps short at both ends.

    Args:   a: shape at the clean end, t = 0.  b: shape at the noisy end, t = 1.
    Errors: ValueError unless a > 0 and b > 0.
    Source: Lee et al. 2024, arXiv:2407.12173, section 4.
    """
    del schedule
    require((a > 0) & (b > 0), f"a and b must be above 0, got {a=}, {b=}")
    return _checked(scipy.special.betaincinv(a, b, _even(num_steps)), num_steps)


def discrete(
    schedule: Schedule,
    num_steps: int,
    total: int = 1000,
    spacing: str = "leading",
) -> Grid:
    """Entries i of a table of `total` steps, as times (i + 1) / total, and then 0.

    leading:   i = k (total // n)                   as in the code of DDIM and ADM
    linspace:  i = round(k (total - 1) / (n - 1))   includes both ends
    trailing:  i = round(total - k total / n) - 1   includes the noisiest entry

    A single step begins at the cleanest entry with leading and linspace, as in their
    codes, and at the noisiest with trailing.

    Errors: ValueError for an unknown spacing, or for more steps than entries.
    Source: Lin et al. 2023, arXiv:2305.08891, table 2.
    """
    del schedule
    n = num_steps
    require(
        spacing in SPACINGS,
        f"spacing must be one of {', '.join(SPACINGS)}, got {spacing=}",
    )
    require(
        1 <= n <= total <= MOST_ENTRIES,
        f"num_steps must be from 1 to the table's total={total}, and that at most "
        f"{MOST_ENTRIES:,}, got {num_steps=}",
    )
    if spacing == "leading":
        index = np.arange(n)[::-1] * (total // n)
    elif spacing == "linspace":
        index = np.round(np.linspace(0, total - 1, n))[::-1]
    else:
        index = np.round(np.arange(total, 0, -total / n)[:n]) - 1
    return _from_index(index, total, num_steps)


def _from_index(index: np.ndarray, total: int, num_steps: int) -> Grid:
    return _checked(np.append((index + 1) / total, 0.0), num_steps)


def respaced(
    schedule: Schedule, num_steps: int, sections: str = "", total: int = 1000
) -> Grid:
    """A subset of a table of `total` steps, in the notation of improved DDPM and ADM.

    Args:   sections: "" takes num_steps evenly. "10,15,20" takes so many steps from
            each
                of as many equal parts. "ddim25" takes 25 steps of one integer stride.
    Errors: ValueError for malformed sections, or if they do not give num_steps.
    Source: see respacing.py.
    """
    del schedule
    kept = respaced_steps(total, sections or str(num_steps))
    require(
        len(kept) == num_steps,
        f"{sections=} has {len(kept)} steps but num_steps is {num_steps}; "
        f"set sampler.num_steps={len(kept)}",
    )
    return _from_index(np.array(kept[::-1]), total, num_steps)


def log_snr(schedule: Schedule, num_steps: int, min_log_snr: float = -12.0) -> Grid:
    """Equal steps in log-SNR down to t = .001, and then 0.

    Args:   min_log_snr: the first level where the schedule's own start is below it, as
                for schedules that end in pure noise.
    Source: Lu et al. 2022, arXiv:2206.00927, section 3.3.
    """
    _require_steps(num_steps)
    start, end = (float(schedule.log_snr(jnp.asarray(t))) for t in (1.0, CLEANEST))
    return _from_log_snr(
        schedule, np.linspace(max(start, min_log_snr), end, num_steps), num_steps
    )


def _from_log_snr(schedule: Schedule, values: np.ndarray, num_steps: int) -> Grid:
    ts = np.asarray(schedule.t_of(jnp.asarray(values)), np.float64)
    return _checked(np.append(np.minimum(ts, 1.0), 0.0), num_steps)


def karras(
    schedule: Schedule,
    num_steps: int,
    sigma_min: float = 0.002,
    sigma_max: float = 80.0,
    rho: float = 7.0,
) -> Grid:
    """Equal steps in (sigma / alpha)^(1 / rho), and then 0: EDM's grid.

    sigma_min and sigma_max are cut to the schedule's range between t = .001 and t = 1.

    Args:   sigma_min, sigma_max: of sigma / alpha, no unit.  rho: no unit.
    Errors: ValueError unless 0 < sigma_min < sigma_max and rho > 0.
    Source: Karras et al. 2022, arXiv:2206.00364, eq. 5.
    """
    require(rho >= 0.01, f"need rho > 0, at least .01, got {rho=}")
    low, high = _ends(schedule, num_steps, sigma_min, sigma_max)
    with np.errstate(all="ignore"):  # what overflows does not fall
        first, last = np.array([high, low], np.float64) ** (1 / rho)
        root = np.linspace(first, last, num_steps)
        values = -2 * rho * np.log(root)
    return _from_log_snr(schedule, values, num_steps)


def _ends(
    schedule: Schedule, num_steps: int, sigma_min: float, sigma_max: float
) -> tuple[float, float]:
    """sigma_min and sigma_max, cut to the schedule's range."""
    _require_steps(num_steps)
    require(
        0 < sigma_min < sigma_max,
        f"need 0 < sigma_min < sigma_max, got {sigma_min=}, {sigma_max=}",
    )
    last, first = (
        np.exp(-0.5 * float(schedule.log_snr(jnp.asarray(t)))) for t in (1.0, CLEANEST)
    )
    return max(sigma_min, first), min(sigma_max, last)


def exponential(
    schedule: Schedule,
    num_steps: int,
    sigma_min: float = 0.002,
    sigma_max: float = 80.0,
) -> Grid:
    """Equal ratios of sigma / alpha, and then 0: the limit of `karras` for large rho.

    Args:   sigma_min, sigma_max: of sigma / alpha, as for `karras`.
    Errors: ValueError unless 0 < sigma_min < sigma_max.
    Source: k-diffusion's get_sigmas_exponential.
    """
    low, high = _ends(schedule, num_steps, sigma_min, sigma_max)
    return _from_log_snr(
        schedule, -2 * np.linspace(np.log(high), np.log(low), num_steps), num_steps
    )


def written(schedule: Schedule, num_steps: int, times: str = "1 0") -> Grid:
    """The given times, for example those that launch.fit_grid prints.

    Args:   times: num_steps + 1 falling numbers in [0, 1], separated by spaces or
            commas.
    Errors: ValueError for anything else.
    """
    del schedule
    try:
        ts = np.array([float(part) for part in times.replace(",", " ").split()])
    except ValueError:
        raise ValueError(
            f"times must be numbers as in '1 .5 0', got {times=}"
        ) from None
    require(
        len(ts) == num_steps + 1,
        f"{len(ts)} times are {len(ts) - 1} steps, but num_steps is {num_steps}; set "
        f"sampler.num_steps={len(ts) - 1}",
    )
    require(
        bool(np.all((ts >= 0) & (ts <= 1))), f"times must be in [0, 1], got {times=}"
    )
    return _checked(ts, num_steps)
