"""Somebody's own package: networks, a source, a solver and a loss, for configs."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.tree_util import Partial

from jaxdiff.data import table
from jaxdiff.diffusion import grids
from jaxdiff.diffusion.sampling import make_solver
from jaxdiff.diffusion.types import Schedule
from jaxdiff.models.pytrees import PytreeNetwork

# The solver's grid, where sampler.grid is "auto".
GRID = grids.karras


class Linen(nn.Module):
    width: int
    columns: int

    @nn.compact
    def __call__(self, x, t, cond=None, *, train=False):
        h = nn.silu(nn.Dense(self.width)(jnp.concatenate([x, t[:, None]], -1)))
        return nn.Dense(self.columns)(h)


class Nnx(nnx.Module):
    def __init__(self, key, width, columns):
        rngs = nnx.Rngs(params=key)
        self.first = nnx.Linear(columns + 1, width, rngs=rngs)
        self.last = nnx.Linear(width, columns, rngs=rngs)

    def __call__(self, x, t, cond):
        h = self.first(jnp.concatenate([x, t[:, None]], -1))
        return self.last(nnx.silu(h))


def linen(*, shape, width: int = 8):
    return Linen(width, shape[0])


def module(*, shape, width: int = 8):
    return PytreeNetwork(partial(Nnx, width=width, columns=shape[0]))


def equinox(*, shape, width: int = 8):
    import equinox as eqx

    class Net(eqx.Module):
        mlp: eqx.nn.MLP

        def __call__(self, x, t, cond):
            return jax.vmap(self.mlp)(jnp.concatenate([x, t[:, None]], -1))

    def make_module(key):
        return Net(eqx.nn.MLP(shape[0] + 1, shape[0], width, 2, key=key))

    return PytreeNetwork(make_module)


def source(num: int = 40):
    """Points on a line."""
    u = np.linspace(-1, 1, num)
    return table.from_columns({"u": u, "v": 2 * u + 1}, rounded=False)


def solver(schedule, *, share: float = 1.0):
    """DDIM without noise, towards `share` of the estimate of x0."""
    return make_solver(Partial(_step, schedule, share))


def _step(schedule, share, denoise, noise, x, t, s, state):
    x0 = share * denoise(x, t).x0
    eps = (x - schedule.alpha(t) * x0) / schedule.sigma(t)
    return schedule.alpha(s) * x0 + schedule.sigma(s) * eps, state


def distance():
    """The root of one and the squared error, less one."""
    return Partial(lambda error: jnp.sqrt(1 + error**2) - 1)


class Odd(nn.Module):
    """A network that gives something else than the values of x."""

    kind: str

    @nn.compact
    def __call__(self, x, t, cond=None, *, train=False):
        one, more = nn.Dense(1)(x), nn.Dense(x.shape[-1] + 1)(x)
        return {"one": one, "more": more, "pair": (x, t), "none": None}[self.kind]


class Trainless(nn.Module):
    """A network without the argument `train`."""

    @nn.compact
    def __call__(self, x, t, cond=None):
        return nn.Dense(x.shape[-1])(x)


def odd(*, shape, kind: str):
    del shape
    return Trainless() if kind == "trainless" else Odd(kind)


def mean_distance():
    return Partial(lambda error: jnp.mean(error**2))


def needs_width(*, width: int):
    raise AssertionError(width)


def plain_schedule():
    return Schedule(
        lambda t: 1 - t,
        lambda t: t,
        lambda t: 2 * jnp.log((1 - t) / t),
        lambda log_snr: jax.nn.sigmoid(-log_snr / 2),
    )


def plain_prediction():
    return lambda c: (jnp.zeros_like(c.t), jnp.ones_like(c.t))


def plain_solver(schedule):
    return make_solver(lambda *args: _step(schedule, 1.0, *args))


def plain_rule():
    return lambda schedule, scale, x_t, t, main, guide: main._replace(
        x0=guide.x0 + scale * (main.x0 - guide.x0)
    )
