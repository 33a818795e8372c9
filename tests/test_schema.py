"""The schema: every field explained, older runs read, choices named by their homes."""

import ast
import re
from pathlib import Path

import pytest

import configs.base
import jaxdiff.data
import jaxdiff.models
import jaxdiff.tasks
from jaxdiff import choices, schema, upgrades
from jaxdiff.diffusion import (
    editing,
    grids,
    inputs,
    losses,
    noises,
    predictions,
    rules,
    scalings,
    schedules,
    solvers,
    times,
    weights,
)
from jaxdiff.train import ema, lr_schedules, optim

SOURCE = Path(schema.__file__).read_text()

# Field -> where its choices are.
HOMES = {
    "task": jaxdiff.tasks,
    "data.name": jaxdiff.data,
    "model.name": jaxdiff.models,
    "diffusion.schedule": schedules,
    "diffusion.scaling": scalings,
    "diffusion.prediction": predictions,
    "diffusion.times": times,
    "diffusion.weight": weights,
    "diffusion.distance": losses,
    "diffusion.noise": noises,
    "diffusion.time_feature": inputs,
    "autoencoder.distance": losses,
    "train.optimizer": optim,
    "train.lr": lr_schedules,
    "train.ema": ema,
    "sampler.solver": solvers,
    "sampler.grid": grids,
    "sampler.rule": rules,
    "sampler.known": editing,
}


def fields_with_comments(source: str) -> list[tuple[str, str, int]]:
    """(field, the comment above it or the nearest one above, lines since that)."""
    (table,) = (
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.AnnAssign)
        and getattr(node.target, "id", "") == "FIELDS"
    )
    lines = source.splitlines()

    def walk(node, prefix):
        comment, since = "", 99
        for key, value in zip(node.keys, node.values, strict=True):
            above, at = [], key.lineno - 2
            while lines[at].strip().startswith("#"):
                above.insert(0, lines[at].strip(" #"))
                at -= 1
            comment, since = (" ".join(above), 1) if above else (comment, since + 1)
            if isinstance(value, ast.Dict):
                yield from walk(value, f"{key.value}.")
            else:
                yield prefix + key.value, comment, since

    return list(walk(table, ""))


COMMENTS = {field: comment for field, comment, _ in fields_with_comments(SOURCE)}


def test_every_field_of_the_schema_is_explained():
    """One comment may speak of a few fields that belong together: three, no more."""

    def bare(source):
        return [field for field, _, since in fields_with_comments(source) if since > 3]

    assert bare(SOURCE) == []
    assert {*COMMENTS} == {*schema.flat(schema.get_config())}
    # and the check can fail
    lines = SOURCE.splitlines()
    stripped = "\n".join(x for x in lines if not x.strip().startswith("#"))
    assert {"seed", "train.batch_size", "sampler.solver"} <= {*bare(stripped)}


@pytest.mark.parametrize("field", HOMES)
def test_a_choice_points_to_its_home(field):
    home, default = HOMES[field], schema.get_config()[field]
    assert re.search(rf"\b{re.escape(home.__name__)}(?![\w.]*\w)", COMMENTS[field])
    name, _ = choices.parse(home, default)
    assert name in choices.members(home)


def lists_in(text: str) -> list[tuple[str, str]]:
    """Neighbours in a list "a, b, c" of words."""
    return re.findall(r"\b(\w+)(?=\"?(?:\([^)]*\))?,\s*\"?(\w+))", text)


def test_no_comment_lists_choices():
    """The folder is the list: one typed here would not grow with it."""
    homes = {home: {*choices.members(home)} for home in HOMES.values()}

    def listed(comments):
        return [
            pair
            for text in comments
            for pair in lists_in(text)
            for names in homes.values()
            if {*pair} <= names
        ]

    assert listed(COMMENTS.values()) == []
    # and the check can fail
    assert listed(["One of jaxdiff.diffusion.grids: uniform, karras(rho=7.0), beta."])


def test_a_choice_quoted_in_its_comment_is_there():
    quoted = {
        (field, name)
        for field, home in HOMES.items()
        for name in re.findall(r'"(\w+)"', COMMENTS[field])
        if name not in choices.members(home)
    }
    assert quoted == set()
    assert "unscaled" in COMMENTS["diffusion.scaling"]  # so that something is checked


def test_the_config_is_locked_and_the_schema_its_own():
    config = configs.base.get_config()
    with pytest.raises(AttributeError, match="num_stesp"):
        config.train.num_stesp = 3
    config.train.num_steps = 3
    assert schema.FIELDS["train"]["num_steps"] == 1000
    assert schema.get_config().train.num_steps == 1000


def stored(**fields):
    """A stored config, as JSON gives it; a field that is None is lacking."""
    tree = schema.get_config().to_dict()
    for field, value in fields.items():
        *block, name = field.split("__")
        here = tree[block[0]] if block else tree
        here.pop(name, None)
        if value is not None:
            here[name] = value
    return tree


def test_a_stored_config_comes_back():
    config = schema.get_config()
    config.update_from_flattened_dict({"model.attention": (4, 8), "data.low": 0.0})
    tree = config.to_dict()
    tree["model"]["attention"] = [4, 8]  # as of JSON
    assert upgrades.upgrade(tree) == config


def test_a_field_that_an_older_run_lacks_means_what_was_before(monkeypatch):
    older = stored(train__cpu_devices=None, sampler__quantile=None)
    config = upgrades.upgrade(older)
    assert (config.train.cpu_devices, config.sampler.quantile) == (1, 0.0)
    monkeypatch.setitem(upgrades.OLDER, "train.cpu_devices", 4)
    assert upgrades.upgrade(older).train.cpu_devices == 4
    assert upgrades.upgrade(stored(train__cpu_devices=2)).train.cpu_devices == 2
    del older["autoencoder"]  # a block that it lacks too
    assert upgrades.upgrade(older).autoencoder.kl_weight == 1.0


def test_a_renamed_field_and_a_renamed_value_are_read():
    older = stored(
        train__features=None, train__judge="runs/j", diffusion__scaling="own"
    )
    config = upgrades.upgrade(older)
    assert config.train.features == "runs/j"
    assert config.diffusion.scaling == "unscaled"
    fields = schema.flat(schema.get_config())
    for old, new in upgrades.RENAMED.items():
        assert old not in fields and new.partition("=")[0] in fields


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"train__cpu_device": 3},
            "no field train.cpu_device.* mean 'train.cpu_devices'",
        ),
        ({"dta": {"name": "x"}}, "no field dta.name"),
        ({"train__num_steps": "many"}, "num_steps.*many"),
    ],
)
def test_what_the_schema_does_not_have_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        upgrades.upgrade(stored(**fields))


def test_identity_is_what_differs_from_older_runs(monkeypatch):
    config = schema.get_config()
    newer = {"data.rules": 2}  # older runs have other rules
    assert upgrades.identity(config, "data", "model") == newer
    assert upgrades.identity(upgrades.upgrade({}), "data", "model") == {}
    changed = {
        "data.path": "elsewhere",
        "data.data_dir": "/mnt",
        "data.low": 0.0,
        "model.channels": 8,
        "train.num_steps": 3,
    }
    config.update_from_flattened_dict(changed)
    differing = newer | {"data.low": 0.0, "model.channels": 8}
    assert upgrades.identity(config, "data", "model") == differing
    assert upgrades.identity(config, "model") == {"model.channels": 8}
    # a default that changes later is written down, and changes no identity
    monkeypatch.setitem(schema.FIELDS["model"], "channels", 8)
    monkeypatch.setitem(upgrades.OLDER, "model.channels", 64)
    assert upgrades.identity(config, "data", "model") == differing


def test_a_new_field_changes_nothing(monkeypatch):
    older = stored(data__low=0.0)
    before = upgrades.identity(upgrades.upgrade(older), "data")
    monkeypatch.setitem(schema.FIELDS["data"], "gamma", 2.2)
    config = upgrades.upgrade(older)
    assert config.data.gamma == 2.2
    assert upgrades.identity(config, "data") == before
    config.data.gamma = 1.0
    assert upgrades.identity(config, "data") == before | {"data.gamma": 1.0}
