"""Which program computes attention, and which derivatives it has."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.models import attention


def arrays(seed, dtype=jnp.float32):
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.normal(size=(2, 4, 2, 8)), dtype) for _ in range(3))


def test_attend_equals_numpy():
    q, k, v = arrays(0)
    logits = np.einsum("bnkd,bmkd->bknm", q, k) / np.sqrt(8)
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    want = np.einsum("bknm,bmkd->bnkd", weights, v)
    chex.assert_trees_all_close(attention.attend(q, k, v), want, rtol=1e-4, atol=1e-5)


@pytest.fixture
def no_forward_mode(monkeypatch):
    """Stands for cuDNN's: the same formula, with a derivative in reverse mode only."""
    f = jax.custom_vjp(attention._plain)
    f.defvjp(
        lambda *args: (attention._plain(*args), args),
        lambda args, g: jax.vjp(attention._plain, *args)[1](g),
    )
    monkeypatch.setattr(attention, "_cudnn", f)
    monkeypatch.setattr(attention, "_fits", lambda *args: True)


@pytest.mark.parametrize("train", [False, True])
def test_gradients_are_those_of_the_formula(no_forward_mode, train):
    args, other = arrays(1), arrays(2)[0]

    def loss(f, *args):
        return (f(*args) * other).sum()

    got = jax.grad(loss, (1, 2, 3))(lambda *a: attention.attend(*a, train), *args)
    want = jax.grad(loss, (1, 2, 3))(attention._plain, *args)
    chex.assert_trees_all_close(got, want, rtol=1e-5, atol=1e-6)
    cuda = attention._cudnn if train else attention._both_modes
    got = jax.grad(loss, (1, 2, 3))(cuda, *args)
    chex.assert_trees_all_close(got, want, rtol=1e-5, atol=1e-6)


def test_forward_mode_is_that_of_the_formula_unless_training(no_forward_mode):
    args, tangents = arrays(1), arrays(2)
    want = jax.jvp(attention._plain, args, tangents)
    for f in (attention.attend, attention._both_modes):
        got = jax.jvp(f, args, tangents)
        chex.assert_trees_all_close(got, want, rtol=1e-5, atol=1e-6)
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(attention._cudnn, args, tangents)


def test_cudnn_is_for_a_gpu_and_bfloat16_where_it_is_there(monkeypatch):
    assert not attention._fits(*arrays(0, jnp.bfloat16))
    monkeypatch.setattr(attention, "on_gpu", lambda: True)
    calls = []
    monkeypatch.setattr(attention, "_cudnn", lambda q, k, v: calls.append(0) or q)
    assert attention._fits(*arrays(0, jnp.bfloat16)) and calls
    assert not attention._fits(*arrays(0))

    def refuse(q, k, v):
        raise NotImplementedError("head dim")

    monkeypatch.setattr(attention, "_cudnn", refuse)
    assert not attention._fits(*arrays(0, jnp.bfloat16))
