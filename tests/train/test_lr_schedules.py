"""Learning rates and optimisers: points and steps worked out by hand."""

import re

import chex
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdiff import choices
from jaxdiff.train import lr_schedules, optim


@pytest.mark.parametrize(
    ("name", "fields", "points"),
    [
        ("constant", {}, {0: 2.0, 7: 2.0, 500: 2.0}),
        ("constant", {"warmup": 10}, {0: 0.0, 5: 1.0, 10: 2.0, 99: 2.0}),
        # end + (peak - end) (1 + cos(pi n / 100)) / 2 after the warm-up
        (
            "cosine",
            {"warmup": 10, "end": 0.2},
            {0: 0.0, 5: 1.0, 10: 2.0, 60: 1.1, 110: 0.2},
        ),
        ("cosine", {}, {0: 2.0, 55: 1.0, 110: 0.0, 110 / 3: 1.5}),
        (
            "linear",
            {"warmup": 10, "end": 0.2},
            {5: 1.0, 10: 2.0, 35: 1.55, 60: 1.1, 110: 0.2, 120: 0.2},
        ),
        ("inverse_sqrt", {"hold": 100}, {0: 2.0, 100: 2.0, 400: 1.0, 1600: 0.5}),
        ("inverse_sqrt", {"hold": 100, "warmup": 10}, {5: 1.0, 400: 1.0}),
        ("inverse_sqrt", {"hold": 4, "warmup": 8}, {4: 1.0, 16: 1.0}),
    ],
)
def test_lr_by_hand(name, fields, points):
    schedule = getattr(lr_schedules, name)(peak=2.0, num_steps=110, **fields)
    for step, value in points.items():
        chex.assert_trees_all_close(schedule(step), value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", lr_schedules.__all__)
def test_lr_errors(name):
    make = getattr(lr_schedules, name)
    with pytest.raises(ValueError, match="learning rate must be > 0"):
        make(peak=-1.0, num_steps=10)
    with pytest.raises(ValueError, match="warmup must be >= 0"):
        make(peak=1.0, num_steps=10, warmup=-1)


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_a_rate_does_not_end_below_zero(name):
    with pytest.raises(ValueError, match=r"at least 0, got end=-0\.1"):
        getattr(lr_schedules, name)(peak=1.0, num_steps=10, end=-0.1)


GRADS = np.array([[0.5, -2.0, 0.0], [1.5, 1.0, 3.0]])
START = np.array([1.0, -1.0, 2.0])


def adam_by_hand(lr, decay):
    """Kingma & Ba's algorithm 1, two steps, in numpy."""
    p, m, v = START.copy(), np.zeros(3), np.zeros(3)
    for n, g in enumerate(GRADS, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        m_hat, v_hat = m / (1 - 0.9**n), v / (1 - 0.999**n)
        p = p - lr * (m_hat / (np.sqrt(v_hat) + 1e-8) + decay * p)
    return p


@pytest.mark.parametrize("name", optim.__all__)
def test_two_steps_by_hand(x64, name):
    del x64
    fields, decay = ({"weight_decay": 0.3}, 0.3) if name == "adamw" else ({}, 0.0)
    tx = getattr(optim, name)(optax.constant_schedule(0.1), **fields)
    params = jnp.asarray(START)
    state = tx.init(params)
    for g in GRADS:
        updates, state = tx.update(jnp.asarray(g), state, params)
        params = optax.apply_updates(params, updates)
    chex.assert_trees_all_close(params, adam_by_hand(0.1, decay), rtol=1e-9)


def test_clipping_by_hand():
    grads = {"a": jnp.array([3.0]), "b": jnp.array([0.0, 4.0])}  # norm 5
    for most, factor in ((1.0, 0.2), (5.0, 1.0), (10.0, 1.0), (0.0, 1.0)):
        tx = optim.clipped(optax.identity(), most)
        got, _ = tx.update(grads, tx.init(grads))
        chex.assert_trees_all_close(got["a"], np.asarray([3.0 * factor]), rtol=1e-6)
        chex.assert_trees_all_close(
            got["b"], np.asarray([0.0, 4.0 * factor]), rtol=1e-6
        )
    with pytest.raises(ValueError, match="clip_norm must be >= 0"):
        optim.clipped(optax.identity(), -1.0)


@pytest.mark.parametrize("peak", [0.0, -1.0, 1e39, float("nan")])
@pytest.mark.parametrize("name", lr_schedules.__all__)
def test_a_peak_is_positive_and_finite(name, peak):
    with pytest.raises(ValueError, match="the learning rate must be > 0 and finite"):
        getattr(lr_schedules, name)(peak=peak, num_steps=10)


@pytest.mark.parametrize(
    "make",
    [
        lambda lr: optim.adam(lr, b1=2.0),
        lambda lr: optim.adam(lr, eps=0.0),
        lambda lr: optim.adamw(lr, b2=-0.1),
        lambda lr: optim.adamw(lr, weight_decay=-1.0),
    ],
)
def test_moments_are_averages(make):
    with pytest.raises(ValueError, match="must be"):
        make(lambda n: 0.1)


@pytest.mark.parametrize(
    ("spec", "num_steps", "done", "words"),
    [
        ("cosine(peak=1e-3)", 400, 200, r"step 200, .* from 6\.2e-08 to 0\.0005: "),
        ("linear(peak=1e-3)", 400, 200, r"step 200, .* from 5e-06 to 0\.0005: "),
        ("cosine(peak=1e-3)", 200, 200, ""),  # the run is finished
        ("cosine(peak=1e-3)", 200, 0, ""),  # and here it begins
        ("constant(peak=1e-3)", 400, 200, ""),
        ("inverse_sqrt(peak=1e-3)", 400, 200, ""),
        ("constant(peak=1e-3, warmup=10)", 10, 0, "does not end within .* 10 steps"),
        ("cosine(peak=1e-3, warmup=500)", 400, 0, "does not end within .* 400 steps"),
        ("cosine(peak=1e-3, warmup=10)", 11, 0, ""),
    ],
)
def test_what_is_odd_about_a_rate(spec, num_steps, done, words):
    lr, before = (
        choices.choose(lr_schedules, spec, {"num_steps": "it"})(num_steps=n)
        for n in (num_steps, done)
    )
    texts = lr_schedules.oddities(lr, num_steps, before, done)
    assert len(texts) == bool(words) and all(re.search(words, t) for t in texts)
