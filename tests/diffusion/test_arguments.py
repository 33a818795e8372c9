"""What `jaxdiff.sample` cannot use is refused; the error has the code to write."""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.tree_util import Partial

from jaxdiff.diffusion import grids, sampling, schedules, solvers
from jaxdiff.diffusion.solvers import ddim
from jaxdiff.diffusion.types import Denoised

SCHEDULE = schedules.cosine()
TS = grids.uniform(SCHEDULE, 3)


def half(x_t, t, cond):
    return Denoised(0.5 * x_t)


def bare(x_t, t, cond):
    return 0.5 * x_t


class Linear(nnx.Module):
    def __init__(self):
        self.kernel = nnx.Param(jnp.ones((3, 3)))

    def __call__(self, x):
        return x @ self.kernel


@jax.tree_util.register_dataclass
@dataclass
class Tree:
    """A stand-in for a module of equinox: a tree of arrays, one of them a function."""

    weight: jax.Array
    activation: object

    def __call__(self, x_t, t, cond):
        return self.activation(x_t @ self.weight)


Tree.__module__ = "equinox._module"


def draw(**changed):
    arguments = {
        "seeds": jax.random.split(jax.random.key(0), 2),
        "denoise": Partial(half),
        "solver": ddim.make(SCHEDULE),
        "ts": jnp.asarray(TS),
        "x_T": jnp.ones((2, 3)),
    }
    return sampling.sample(**arguments | changed)


EQX = r"eqx\.partition\(net, eqx\.is_array\).*eqx\.combine\(p, static\)"
CASES = {
    "a function": ({"denoise": half}, r"function half; write .*\.Partial\(half\)"),
    "a jitted one": ({"denoise": jax.jit(half)}, r"write .*\.Partial\(half\)"),
    "an array": ({"denoise": jnp.ones(3)}, r"\(x_t, t, cond\) -> .*make_denoise"),
    "no Denoised": ({"denoise": Partial(bare)}, r"must return jaxdiff\.Denoised\(x0\)"),
    "linen": ({"denoise": nn.Dense(3)}, r"flax's Dense.*net\.apply\(p, x, c\.t\)"),
    "nnx": ({"denoise": Linear()}, r"nnx\.split\(net\).*nnx\.merge\(graph, p\)"),
    "equinox": ({"denoise": Tree(jnp.ones((3, 3)), nn.silu)}, "denoise must be a tree"),
    "equinox, arrays": ({"denoise": Tree(jnp.ones((3, 3)), Partial(nn.silu))}, EQX),
    "a module": ({"solver": ddim}, r"write jaxdiff\.solvers\.ddim\.make\(schedule\)"),
    "a maker": ({"solver": ddim.make}, r"function make: write make\(schedule\)"),
    "a name": ({"solver": "ddim"}, r"str: write jaxdiff\.solvers\.ddim\.make"),
    "one key": ({"seeds": jax.random.key(0)}, r"split\(jax\.random\.key\(0\), 2\)"),
    "one raw key": ({"seeds": jax.random.PRNGKey(0)}, r"one key for each of the 2"),
    "a number": ({"seeds": 0}, "one key for each of the 2 samples, got int"),
    "rising": ({"ts": jnp.asarray(TS[::-1])}, r"ts must fall.*: write ts\[::-1\]"),
    "numbers": ({"ts": 50}, r"ts must be an array .* jaxdiff\.grids\.uniform"),
    "nan": ({"ts": jnp.array([1.0, np.nan, 0.0])}, "ts must fall"),
    "indices": ({"ts": jnp.array([999.0, 0.0])}, "ts must fall, from at most 1"),
    "no rows": ({"x_T": jnp.ones(3)}, r"x_T must be \(b, ...\)"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_to_write(name):
    changed, words = CASES[name]
    with pytest.raises(ValueError, match=words):
        draw(**changed)


def test_what_is_right_passes():
    assert draw().shape == (2, 3)
    assert draw(ts=TS, x_T=np.ones((2, 3), np.float32)).shape == (2, 3)  # of numpy
    assert solvers.ddim is ddim  # its name in the message is a public one
