"""Noise schedules: the amounts of signal and of noise at each time.

(1)  x_t = alpha(t) x0 + sigma(t) eps,      t in [0, 1];  t = 0 is data, t = 1 is noise
(2)  log_snr(t) = 2 log(alpha(t) / sigma(t))       strictly decreasing; t_of inverts it

A schedule is a value: its functions are `Partial`s whose leaves are its parameters, so
it passes through jit, vmap and grad like an array. The ends are exact where they are
exact in the source: sigma(0) = 0 for the tables, the sigmoid, the linear mix and EDM,
and alpha(1) = 0 for the linear mix. Each file holds a family, with every formula under
its maker. Each name in `__all__` can be chosen by a config.
"""

from jaxdiff.diffusion.schedules.angles import angle, cosine
from jaxdiff.diffusion.schedules.continuous import linear_log_snr, sigmoid, vp_sde
from jaxdiff.diffusion.schedules.powers import edm, linear_mix
from jaxdiff.diffusion.schedules.tables import (
    cosine_beta,
    linear_beta,
    scaled_linear_beta,
)

__all__ = [
    "angle",
    "cosine",
    "cosine_beta",
    "edm",
    "linear_beta",
    "linear_log_snr",
    "linear_mix",
    "scaled_linear_beta",
    "sigmoid",
    "vp_sde",
]
