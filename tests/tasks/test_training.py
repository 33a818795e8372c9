"""Training steps of every task: finite, and one program for all.

Those of every network and config are in tests/test_configs.py.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff import build, tasks
from jaxdiff.choices import members
from jaxdiff.runs.experiment import Experiment
from jaxdiff.train.state import init_state
from jaxdiff.train.step import make_train_step
from tests.runs.conftest import IMAGES, tiny_config


@pytest.mark.parametrize("task", members(tasks))
def test_training_steps_are_finite_and_traced_once(task, traced_once):
    fields = {} if task == "diffusion" else {**IMAGES, "model__name": task}
    config = tiny_config(task=task, **fields)
    run, (tx, _) = Experiment(config), build.make_optimizer(config)
    step = traced_once(
        make_train_step(run.task.loss, tx, build.make_ema(config), axis=None)
    )
    state = first = init_state(jax.jit(run.task.init)(jax.random.key(0)), tx)
    for i in range(3):
        examples = run.source[np.arange(4 * i, 4 * i + 4)]
        batch = jax.tree.map(lambda a: jnp.asarray(a[None]), examples)
        state, metrics = step(state, batch, jax.random.key(1))
        chex.assert_tree_all_finite((state, metrics))
        assert float(metrics["grad_norm"][0]) > 0
    chex.assert_trees_all_equal_shapes_and_dtypes(state, first)
    assert int(state.step) == 3
