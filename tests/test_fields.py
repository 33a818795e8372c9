"""Every field is taken by a choice or refused, in words that are true."""

import re

import numpy as np
import pytest
from PIL import Image

from configs import base
from jaxdiff import build, choices, fields, schema
from jaxdiff.runs.train import setup
from tests.test_configs import NAMES
from tests.test_configs import load as config_of

SMALL = {"model.channels": 8, "model.multipliers": (1,), "model.num_blocks": 1}
TRAIN = {"train.batch_size": 4, "train.num_steps": 2, "train.checkpoint_every": 2}
TRAIN["train.log_every"] = 2
MADE_UP = {"data.name": "synthetic", "data.num_classes": 2, "data.num_examples": 12}
ROWS = {**MADE_UP, "data.shape": (2,), "model.name": "mlp", "model.hidden": 8}
BLOBS = {**MADE_UP, "data.shape": (8, 8, 1), "model.name": "unet", **SMALL}

# Task -> configs whose switches are on, so that together they take all that it can.
ON = {
    "diffusion": {
        "rows": {
            **ROWS,
            "sampler.guidance": 2.0,
            "sampler.rule": "apg",
            "train.ema_widths": (0.05, 0.1),
            "train.snapshot_every": 2,
            "sampler.ema": 0.07,
            "train.evaluate_every": 2,
            "train.num_evaluate": 8,
            "data.holdout": ".5",
        },
        "table": {
            "data.name": "iris",
            "model.name": "mlp",
            "model.hidden": 8,
            "diffusion.condition": "none",
        },
        "digits": {
            "data.name": "digits",
            **SMALL,
            "data.flip": True,
            "diffusion.learned_variance": True,
            "sampler.quantile": 0.9,
        },
        "upsampler": {
            **BLOBS,
            "data.standardise": True,
            "diffusion.low_size": 4,
            "diffusion.augment": 0.3,
            "sampler.base": "{base}",
        },
        "guided": {
            **BLOBS,
            "sampler.classifier": "{classifier}",
            "sampler.weak": "{weak}",
            "train.evaluate_every": 2,
            "train.num_evaluate": 8,
            "train.features": "{classifier}",
        },
    },
    "classifier": {
        "blobs": {
            **BLOBS,
            "task": "classifier",
            "model.name": "classifier",
            "data.standardise": True,
            "data.holdout": ".34",
            "train.ema_widths": (0.05, 0.1),
            "train.snapshot_every": 2,
            "sampler.ema": 0.07,
        }
    },
    "autoencoder": {
        "blobs": {
            **BLOBS,
            "task": "autoencoder",
            "model.name": "autoencoder",
            "data.standardise": True,
            "data.holdout": ".34",
            "train.ema_widths": (0.05, 0.1),
            "train.snapshot_every": 2,
            "sampler.ema": 0.07,
        }
    },
}
CASES = {
    f"{task} of {name}": case
    for task, cases in ON.items()
    for name, case in cases.items()
}
ALL = {*schema.flat(schema.get_config())}


def make(case, **folders):
    config = base.get_config()
    config.update_from_flattened_dict(
        {
            k: v.format(**folders) if isinstance(v, str) and folders else v
            for k, v in case.items()
        }
    )
    return config


def another(value):
    """Of the same type, and another."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value + "other"
    return (*value, 3) if isinstance(value, tuple) else value + 1


@pytest.mark.parametrize("name", CASES)
def test_each_field_is_taken_or_refused_in_one_line(name):
    """Set to another value, one after the other."""
    refused = 0
    for field in ALL - {*fields.CHOICES}:
        config = make(CASES[name])
        config.update_from_flattened_dict({field: another(config[field])})
        if config[field] == schema.get_config()[field]:
            continue
        why = fields.untaken(config).get(field)
        assert (why is None) == (field in fields.taken(config)), field
        if why is None:
            continue
        refused += 1
        assert why.startswith(f"{field}={config[field]!r}") and "\n" not in why
        assert "Leave it out" in why and len(why) < 300
        with pytest.raises(ValueError) as error:
            fields.check(config)
        assert str(error.value) in fields.untaken(config).values()
    assert refused > 5


def test_each_field_is_taken_by_something_and_most_not_by_all():
    cases = [fields.taken(make(case)) for case in CASES.values()]
    sources = choices.members(fields.HOMES["data"])
    of_sources = [f"data.{k}" for name in sources for k in fields.takes("data", name)]
    networks = choices.members(fields.HOMES["model"])
    of_networks = [f"model.{k}" for n in networks for k in fields.takes("model", n)]
    assert set().union(*cases, of_sources, of_networks) >= ALL
    always = set.intersection(*cases)
    assert {"seed", "task", "train.cpu_devices", "train.lr"} <= always
    assert len(always) < len(ALL) / 2


def test_a_refusal_names_who_takes_it():
    """Word by word, by their signatures; and what it advises is then taken."""
    seen = set()
    for case in CASES.values():
        for field in ALL - {*fields.CHOICES}:
            config = make(case)
            config.update_from_flattened_dict({field: another(config[field])})
            why = fields.untaken(config).get(field, "")
            message = re.search(
                r": (\w+) '\w+' does not take it; (.*) takes? it\. Leave it out(.*)",
                why,
            )
            if not message:
                continue
            block, names, cure = message.groups()
            seen.add(block)
            if cure:
                choice, _, advised = cure.removeprefix(", or choose ").partition("=")
                assert choice.partition(".")[0] == block
                assert advised in names.split(", ")
            if block == "task":
                others = [t for t, row in fields.TASKS.items() if _covers(row, field)]
            else:
                others = [
                    other
                    for other in choices.members(fields.HOMES[block])
                    if field.partition(".")[2] in fields.takes(block, other)
                ]
            assert names.split(", ") == others
    assert seen == {"task", "data", "model"}


def _covers(row, field):
    return field in row or field.partition(".")[0] in row


def test_every_task_has_its_row_and_every_table_its_fields():
    tasks = {*choices.members(fields.task_home)}
    assert {*fields.TASKS} == tasks, "TASKS of jaxdiff/fields.py has what each takes"
    assert {*ON} == tasks, "ON of this file has a config of each task"
    named = {f for row in fields.TASKS.values() for f in row}
    assert named <= ALL | {field.partition(".")[0] for field in ALL}
    assert {*fields.NEEDS, *fields.SWITCHES, *fields.SWITCHES.values()} <= ALL
    assert {*fields.KINDS} <= {*choices.members(fields.HOMES["data"])}


@pytest.mark.parametrize("variant", ["", "smoke", "synthetic"])
@pytest.mark.parametrize("name", NAMES)
def test_a_config_sets_nothing_that_nothing_takes(name, variant):
    assert fields.untaken(config_of(name, variant)) == {}


def test_what_is_known_of_data_before_they_are_read_is_so(tmp_path):
    """The first word on every source, by its name, is that of the source itself."""
    for k in range(2):
        pixels = np.full((4, 4), 40 * k, np.uint8)
        (tmp_path / "pictures" / str(k)).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "pictures" / str(k) / "a.png")
    (tmp_path / "t.csv").write_text("a,b\n1.0,x\n2.0,y\n")
    cases = {
        "digits": {},
        "iris": {},
        "folder": {"data.path": str(tmp_path / "pictures")},
        "table": {"data.path": str(tmp_path / "t.csv")},
        "synthetic": {},
    }
    for name, case in cases.items():
        config = make({"data.name": name, **case})
        source = build.make_source(config)
        assert fields.taken(config, source) == fields.taken(config), name
    rows = make(ROWS)
    assert fields.taken(rows, build.make_source(rows)) == fields.taken(rows)
    # codes of an autoencoder: tests/runs/test_latents_run.py; tfds: as a folder


def test_what_is_known_once_data_are_read_counts(tmp_path):
    """Pictures without classes: only the folder shows it."""
    for k in range(2):
        pixels = np.full((4, 4), 40 * k, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
    case = {"data.name": "folder", "data.path": str(tmp_path), **SMALL}
    config = make({**case, **TRAIN, "diffusion.label_dropout": 0.3})
    assert fields.untaken(config) == {}
    with pytest.raises(
        ValueError, match=r"label_dropout=0\.3 needs diffusion\.condition"
    ):
        setup.prepare(config, tmp_path / "run")


# --- flags


def test_a_choice_puts_back_what_it_does_not_take():
    config = config_of("digits")
    config.update_from_flattened_dict({"data.name": "iris", "model.name": "mlp"})
    assert fields.settle(config, {"data.name", "model.name"}) == [
        *("model.channels", "sampler.guidance")
    ]
    assert config.model.channels == 64 and config.sampler.guidance == 1.0
    assert config.model.num_blocks == 1  # which it takes too
    assert fields.untaken(config) == {}


def test_what_a_flag_sets_stays_and_is_refused():
    config = config_of("digits")
    config.update_from_flattened_dict({"model.name": "mlp", "model.channels": 48})
    assert "model.channels" not in fields.settle(config, {"model.channels"})
    with pytest.raises(ValueError, match=r"model\.channels=48: model 'mlp' does not"):
        fields.check(config)


def test_what_hangs_on_a_field_goes_back_with_it():
    config = config_of("fashion_cascade")
    config.task, config.model.name = "classifier", "classifier"
    reset = fields.settle(config, {"task", "model.name"})
    assert {"diffusion.low_size", "diffusion.augment", "sampler.base"} <= {*reset}
    assert fields.untaken(config) == {}


def test_a_stored_run_may_keep_what_nothing_takes():
    stored = config_of("iris")
    stored.sampler.clip = False
    config = stored.copy_and_resolve_references()
    assert fields.check(config, stored=stored) == ["sampler.clip"]
    config.data.size = 16
    with pytest.raises(ValueError, match=r"data\.size=16: data 'iris' does not"):
        fields.check(config, stored=stored)
