"""What the tables of fields.py give a task is what its runs read."""

import functools
import inspect
from contextlib import contextmanager

import numpy as np
import pytest
from ml_collections import ConfigDict

from jaxdiff import choices, fields, ranges, schema, upgrades
from jaxdiff.runs import workdir
from jaxdiff.runs.experiment import open_run
from jaxdiff.runs.train import loop, setup
from tests.runs.conftest import untrained
from tests.test_fields import ALL, BLOBS, ON, TRAIN, make


class Reads:
    """The fields that are read of any config of the schema's blocks.

    Functions that look at all fields to compare, check or copy them are not readers.
    """

    def __init__(self, monkeypatch):
        self.fields, self._quiet = set(), 0
        blocks = {
            frozenset(tree): f"{block}."
            for block, tree in schema.FIELDS.items()
            if isinstance(tree, dict)
        }
        blocks[frozenset(schema.FIELDS)] = ""
        get = ConfigDict.__getitem__

        def noted(config, key):
            value = get(config, key)
            block = blocks.get(frozenset(config.keys()))
            if not (self._quiet or block is None or isinstance(value, ConfigDict)):
                self.fields.add(block + key)
            return value

        monkeypatch.setattr(ConfigDict, "__getitem__", noted)
        for home, name in (
            *(
                (ConfigDict, n)
                for n in ("keys", "to_dict", "update", "__eq__", "items")
            ),
            (ConfigDict, "copy_and_resolve_references"),
            *(
                (fields, "check"),
                (ranges, "check"),
                (upgrades, "identity"),
                (upgrades, "upgrade"),
            ),
            *((workdir, n) for n in ("recall", "check_same", "differing")),
        ):
            monkeypatch.setattr(home, name, self._silent(getattr(home, name)))
        pick = choices.pick

        def recorded(home, name):
            maker = pick(home, name)
            block = {home: f"{b}." for b, home in fields.HOMES.items()}.get(home)
            return self._maker(maker, block) if block else maker

        monkeypatch.setattr(choices, "pick", recorded)

    @contextmanager
    def quiet(self):
        self._quiet += 1
        yield
        self._quiet -= 1

    def _silent(self, function):
        @functools.wraps(function)
        def run(*args, **kwargs):
            with self.quiet():
                return function(*args, **kwargs)

        return run

    def _maker(self, maker, block):
        """What from_block gives a maker it reads of the block."""

        @functools.wraps(maker)
        def made(*args, **kwargs):
            self.fields |= {block + k for k in kwargs} & ALL
            return maker(*args, **kwargs)

        assert inspect.signature(made) == inspect.signature(maker)
        return made


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """Runs that others name: of a base, a classifier, a weaker model."""
    root = tmp_path_factory.mktemp("named")
    cases = {
        "base": {**BLOBS, "data.shape": (4, 4, 1)},
        "weak": BLOBS,
        "classifier": {**BLOBS, "task": "classifier", "model.name": "classifier"},
    }
    for name, case in cases.items():
        untrained(make({**TRAIN, **case}), root / name)
    return {name: str(root / name) for name in cases}


# Read before any training by whoever starts it: launch/cli.py.
OF_THE_MACHINE = {"train.cpu_devices"}
# Read and without effect: to refuse some values, also for tasks that do not take them;
# by the maker of data that are standardised afterwards, whatever black was; and to name
# the data in a message.
IDLE = {"train.evaluate_every", "train.num_preview", "data.low"}
IDLE |= {"data.path", "data.dataset"}


@pytest.mark.parametrize("task", ON)
def test_what_is_taken_is_what_is_read(task, named, tmp_path, monkeypatch, one_device):
    """Prepared, trained and, where it draws, sampled: no field is read that the tables
    do not give to the task, and they give it none that nothing reads.
    """
    configs = {
        name: make({**TRAIN, **case}, **named) for name, case in ON[task].items()
    }
    taken = set()
    for config in configs.values():
        taken |= fields.taken(config)
    reads = Reads(monkeypatch)
    for name, config in configs.items():
        run = setup.prepare(config, tmp_path / name)
        if config.train.ema_widths:
            loop.run(run)
            open_run(tmp_path / name, config)
        if run.experiment.task.kind == "denoiser":
            run.experiment.sampler().wrap(lambda *_: None)  # guided, with its base
            if "sampler.known" in fields.taken(config):
                run.experiment.sampler(mask=np.ones(run.experiment.source.shape, bool))
    assert reads.fields - taken <= IDLE
    assert taken - reads.fields == OF_THE_MACHINE
