"""A run that trains in a second: a small perceptron on a made-up table."""

import json
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest

from configs import base
from jaxdiff import build, fields, schema
from jaxdiff.data import record as records
from jaxdiff.runs import workdir
from jaxdiff.runs.experiment import Experiment, open_run
from jaxdiff.train import checkpoint
from jaxdiff.train.state import init_state
from tests.devices import see_one_device
from tests.runs import speck

# Chosen by name like jaxdiff's own, among which it is not listed.
sys.modules["jaxdiff.models.speck"] = speck


def tiny_config(**changed):
    """A perceptron of rows, two classes.

    changed: the task, fields of config.train, or of another block as block__field. What
             they do not take of the rest is left out.
    """
    config = base.get_config()
    config.data.update(
        {"name": "synthetic", "shape": (2,), "num_classes": 2, "num_examples": 40}
    )
    config.model.update({"name": "mlp", "hidden": 8, "num_blocks": 1})
    config.train.update(
        {
            "batch_size": 8,
            "num_steps": 8,
            "lr": "constant(peak=1e-2)",
            "log_every": 2,
            "checkpoint_every": 2,
            "num_preview": 8,
        }
    )
    config.sampler.update({"num_steps": 3, "batch_size": 8})
    # rows have no range that x0 could leave
    config.sampler.clip = len(changed.get("data__shape", (2,))) == 1
    given = {name.replace("__", "."): value for name, value in changed.items()}
    top = schema.FIELDS.keys() & given
    given = {k if "." in k or k in top else f"train.{k}": given[k] for k in given}
    config.update_from_flattened_dict(given)
    fields.settle(config, given)
    return config


# Bright blobs of three classes, with the smallest network, a small one, a classifier.
BLOBS = {"data__shape": (8, 8, 1), "data__num_classes": 3, "data__num_examples": 60}
SPECK = {**BLOBS, "model__name": "speck"}
IMAGES = {
    **BLOBS,
    "model__channels": 8,
    "model__multipliers": (1,),
    "model__num_blocks": 1,
}
CLASSIFIER = {"task": "classifier", "model__name": "classifier", **IMAGES}


def untrained(config, folder, step=0, source=None):
    """The Experiment of a run without training; its weights are drawn here, since a
    network that was only initialised gives 0.

    For tests that only read runs: no training step is compiled, nor anything else. Its
    log has one line.
    source: given in Python, where it is not config.data.
    """
    run, averages = Experiment(config, None, source), len(config.train.ema_widths)
    tx, _ = build.make_optimizer(config)
    init = run.task.init  # built here: codes as data need real arrays
    like = jax.eval_shape(
        lambda: init_state(init(jax.random.key(0)), tx, powers=averages)
    )
    rng = np.random.default_rng(config.seed)

    def drawn(path, leaf):
        """About the scale of the initialisers, with noise where they have zeros."""
        layer, name = (key.key for key in path[-2:])
        a = 0.05 * rng.standard_normal(leaf.shape)
        if name == "scale":
            a += 1
        elif leaf.ndim > 1 and layer not in ("out", "conv_out"):
            a += rng.standard_normal(leaf.shape) / np.sqrt(np.prod(leaf.shape[:-1]))
        return a.astype(leaf.dtype)

    params = jax.tree_util.tree_map_with_path(drawn, like.params)
    state = jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), like).replace(
        step=np.asarray(step, np.int32),
        params=params,
        ema=(params,) * (1 + averages) if averages else params,
    )
    with checkpoint.open_manager(folder / workdir.CHECKPOINTS, keep_last=1) as manager:
        checkpoint.save(manager, state)
    workdir.save_config(folder, config)
    given = source is not None
    records.save(folder, records.of(run.source, config.data.path, given))
    row = {"step": step, "loss": 1.0, "examples_per_second": 1.0}
    (folder / workdir.METRICS).write_text(json.dumps(row) + "\n")
    return open_run(folder, config, run.source)


def at(run, folder, **fields):
    """The same run, compiled already, in another workdir; it draws no previews.

    fields: of config.train, such as compile nothing.
    """
    config = run.experiment.config.copy_and_resolve_references()
    config.train.update(fields)
    experiment = replace(run.experiment, config=config, workdir=folder)
    return run._replace(experiment=experiment, preview=lambda *_: None)


def read_state(folder, run):
    with checkpoint.open_manager(folder / workdir.CHECKPOINTS, keep_last=9) as manager:
        return checkpoint.restore(manager, run.init())


def assert_same(a, b):
    """Bit for bit, types and structure included."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def numbers(folder):
    """The rows of metrics.jsonl without the one that is a time."""
    rows = workdir.read_metrics(folder)
    timing = ("seconds", "examples_per_second")
    return [{k: v for k, v in row.items() if k not in timing} for row in rows]


@pytest.fixture
def tiny():
    return tiny_config


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """Eight steps from the start: (workdir, run, final state)."""
    from jaxdiff.runs.train import loop, setup

    folder = tmp_path_factory.mktemp("whole") / "run"
    run = setup.prepare(tiny_config(), folder)
    return folder, run, loop.run(run)


@pytest.fixture(scope="session")
def classifier_run(tmp_path_factory):
    """Sixty steps of a classifier of bright blobs: (workdir, its config)."""
    from jaxdiff.runs.train import loop, setup

    folder = tmp_path_factory.mktemp("classifier") / "run"
    config = tiny_config(
        **CLASSIFIER,
        train__batch_size=24,
        train__num_steps=60,
        train__log_every=20,
        train__checkpoint_every=60,
        train__lr="constant(peak=1e-2)",
    )
    with pytest.MonkeyPatch.context() as monkeypatch:
        see_one_device(monkeypatch)
        loop.run(setup.prepare(config, folder))
    return folder, config
