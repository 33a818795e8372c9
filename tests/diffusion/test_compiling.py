"""Numbers are no part of a program: another value of any of them traces nothing."""

import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff import rng
from jaxdiff.choices import fields_of, members
from jaxdiff.diffusion import (
    editing,
    inverse_problems,
    losses,
    noises,
    predictions,
    rules,
    sampling,
    scalings,
    schedules,
    solvers,
    times,
    weights,
)
from jaxdiff.diffusion.guidance import cfg
from jaxdiff.diffusion.solvers import ddim
from jaxdiff.diffusion.types import Denoised

TS, LABELS = jnp.linspace(1, 0, 6), jnp.arange(2)


def _curved(gain, x_t, t, cond):
    return Denoised(jnp.tanh(gain * x_t + (0.1 * cond + t)[:, None]))


def arguments(
    eta=0.5, scale=2.0, gain=1.7, seed=0, ts=TS, sigma=80.0, labels=LABELS, null=9
):
    """Of `sampling.sample`, from the numbers that a user chooses."""
    schedule = schedules.edm(sigma)
    seeds = rng.split_by(jax.random.key(seed), labels)
    x_T = sampling.init_noise(seeds, (3,), schedule=schedule, noise=noises.normal())
    denoise = cfg(Partial(_curved, gain), null, scale)
    return seeds, denoise, ddim.make(schedule, eta=eta), ts, x_T, labels


def test_another_value_traces_no_sample_anew(traced_once):
    """gain stands for the parameters of a network: those of another trained run."""

    def draw(*args):
        return sampling.sample(*args)

    draw = traced_once(draw)
    first = draw(*arguments())
    for change in (
        {"eta": 0.9},
        {"scale": 0.0},
        {"gain": 0.3},
        {"seed": 1},
        {"ts": TS**2},  # another grid of as many steps
        {"sigma": 20.0},
        {"labels": jnp.array([5, 3])},
        {"null": 2},
    ):
        assert float(jnp.abs(draw(*arguments(**change)) - first).max()) > 1e-4, change
    with pytest.raises(AssertionError, match="'draw' is traced > 1"):
        draw(*arguments(ts=jnp.linspace(1, 0, 3)))  # or this test sees nothing


# What the makers of each home are given beside their fields.
HOMES = {
    editing: (),
    inverse_problems: (),
    losses: (),
    predictions: (),
    rules: (),
    scalings: (schedules.edm(),),
    schedules: (),
    solvers: (schedules.cosine(),),
    times: (schedules.cosine(),),
    weights: (),
}
NUMBERS = [
    (home, name, field)
    for home in HOMES
    for name in members(home)
    for field in fields_of(home, name, float)
]


@pytest.mark.parametrize(
    ("home", "name", "field"), NUMBERS, ids=lambda a: getattr(a, "__name__", a)
)
def test_another_value_of_any_field_traces_nothing_anew(home, name, field, traced_once):
    make = members(home)[name]

    def made_with(value):
        return make(*HOMES[home], **{field: value})

    def leaves(made):
        return jax.tree.leaves(made)

    leaves = traced_once(leaves)
    one, other = (
        leaves(made_with(value))
        for value in two_values(inspect.signature(make).parameters[field].default)
    )
    chex.assert_trees_all_equal_shapes_and_dtypes(one, other)
    assert any((a != b).any() for a, b in zip(one, other, strict=True))


def two_values(default):
    if default is inspect.Parameter.empty:
        return 0.5, 0.3
    if not np.isfinite(default):
        return default, 2.0
    return default, 0.9 * default or 0.5
