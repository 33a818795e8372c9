"""The kernel, interpreted, against the plain form and numpy."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.models import sums

ROUTES = {"plain": sums._plain, "kernel": partial(sums._kernel, interpret=True)}


def term(x, y, v):
    return x * y + v, x - y


# pixels of one and of several programs, channels of two; a side that is no power of 2
@pytest.mark.parametrize("shape", [(2, 4, 4, 16), (1, 32, 16, 16), (1, 12, 4, 48)])
@pytest.mark.parametrize("route", ROUTES)
def test_sums_equal_numpy(route, shape):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, *shape))
    v = rng.normal(size=(shape[0], shape[-1]))
    first, second = term(x, y, v[:, None, None])
    arrays = (jnp.asarray(a, jnp.float32) for a in (x, y, v))
    got = ROUTES[route](term, 2, *arrays)
    want = first.sum((1, 2)), second.sum((1, 2))
    chex.assert_trees_all_close(got, want, rtol=1e-4, atol=1e-4)


def test_bfloat16_is_summed_in_float32():
    """A thousand ones and one 1/256, which bfloat16 would lose beside the sum."""
    x = jnp.ones((1, 32, 32, 16), jnp.bfloat16).at[0, 5, 5].set(1 + 1 / 128)
    for run in ROUTES.values():
        total, _ = run(lambda x: (x, x), 1, x)
        chex.assert_trees_all_equal(total, np.full((1, 16), 1024 + 1 / 128, "f4"))


def test_one_program_lowers_for_every_platform(monkeypatch):
    """The machine's GPU does not decide, the platform that is named does."""
    monkeypatch.setattr(sums, "on_gpu", lambda: True)
    f = jax.jit(lambda x: sums.two_sums(lambda x: (x, x), (x,), ()))
    traced = f.trace(jnp.ones((1, 8, 8, 16)))
    for platform in ("cpu", "tpu"):
        assert "triton" not in traced.lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize("shape", [(1, 7, 7, 16), (1, 8, 8, 12)])
def test_too_few_pixels_or_channels_for_a_program_need_no_kernel(monkeypatch, shape):
    monkeypatch.setattr(sums, "on_gpu", lambda: True)
    monkeypatch.setattr(sums, "_kernel", None)
    total, _ = sums.two_sums(lambda x: (x, x), (jnp.ones(shape),), ())
    pixels = np.full((1, shape[-1]), shape[1] * shape[2], "f4")
    chex.assert_trees_all_equal(total, pixels)
