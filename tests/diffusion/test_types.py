"""The protocols: what is made takes the arguments that its protocol names."""

import importlib
import inspect

import jax.numpy as jnp
import pytest
from jax.tree_util import Partial

from jaxdiff.choices import members
from jaxdiff.diffusion import (
    analytic,
    denoisers,
    editing,
    inverse_problems,
    inversion,
    predictions,
    rules,
    schedules,
    types,
)
from jaxdiff.diffusion.rules import linear

SCHEDULE = schedules.cosine()


def arguments(function):
    """How many a Partial still takes, by position."""
    return len(inspect.signature(function).parameters)


def assert_implements(made, protocol):
    assert isinstance(made, protocol)
    assert arguments(made) == arguments(protocol.__call__) - 1  # without self


def test_rules_and_edits_take_what_their_protocols_name():
    for make in members(rules).values():
        assert_implements(make(), types.Rule)
    for home in (editing, inverse_problems):
        for make in members(home).values():
            assert_implements(make(), types.Edit)


def test_solvers_and_their_formulas_take_what_their_protocols_name(solver_name):
    home = importlib.import_module(f"jaxdiff.diffusion.solvers.{solver_name}")
    for solver in (
        home.make(SCHEDULE),
        editing.resample(home.make(SCHEDULE), SCHEDULE, 2),
        inversion.upwards(home.make(SCHEDULE), SCHEDULE),
    ):
        assert_implements(solver.init, types.SolverInit)
        assert_implements(solver.step, types.SolverStep)
        formula, *_ = solver.step.args
        assert_implements(formula, types.SolverStep)


def test_denoisers_take_what_their_protocol_names():
    law = analytic.Mixture(*jnp.ones((3, 1, 2)))
    denoise = analytic.make_denoise(law, SCHEDULE)
    network = Partial(lambda x_t, c, cond: x_t)
    for made in (
        denoise,
        denoisers.make_denoise(network, schedule=SCHEDULE, prediction=predictions.v()),
        denoisers.clip(denoise),
        denoisers.dynamic_threshold(denoise),
        denoisers.clip_x0_only(denoise, SCHEDULE),
        editing.replace()(denoise, SCHEDULE, 0.5, 1),
        editing.regress()(denoise, SCHEDULE, 0.5, 1),
    ):
        assert_implements(made, types.Denoise)


def test_what_cannot_be_called_is_no_protocol():
    """So that the import hook of the tests refuses it, by the annotations."""
    assert not isinstance(linear().args, types.Rule)
    with pytest.raises(Exception, match="denoise"):
        denoisers.clip(0.5)(jnp.ones((1, 2)), jnp.ones(()), None)
