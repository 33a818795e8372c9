"""The workdir: what is stored, compared and cut back."""

import json

import pytest

from jaxdiff import fields
from jaxdiff.runs import workdir
from jaxdiff.runs.train import setup


def test_config_comes_back_with_its_tuples(tmp_path, tiny):
    config = tiny(model__attention=(4, 8))
    workdir.save_config(tmp_path, config)
    read = workdir.load_config(tmp_path)
    assert read.to_dict() == config.to_dict()
    assert read.model.attention == (4, 8)
    assert [p.name for p in tmp_path.iterdir()] == ["config.json"]


def test_a_differing_config_lists_its_fields(tmp_path, tiny):
    workdir.save_config(tmp_path, tiny())
    other = tiny(batch_size=16, model__hidden=16)
    with pytest.raises(ValueError) as error:
        workdir.check_same(tmp_path, other)
    text = str(error.value)
    assert "model.hidden=16 (stored: 8)" in text
    assert "train.batch_size=16 (stored: 8)" in text
    assert "num_steps" not in text.partition("Use another")[0]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"num_steps": 9},
        {"sampler__num_steps": 77},
        {"log_every": 4},
        {"num_preview": 3},
        {"keep_every": 4},
    ],
)
def test_what_may_differ(tmp_path, tiny, fields):
    workdir.save_config(tmp_path, tiny())
    workdir.check_same(tmp_path, tiny(**fields))


def test_fewer_steps_are_another_run(tmp_path, tiny):
    workdir.save_config(tmp_path, tiny())
    with pytest.raises(ValueError, match=r"train.num_steps=7 \(stored: 8\)"):
        workdir.check_same(tmp_path, tiny(num_steps=7))


def test_places_that_are_no_workdir(tmp_path, tiny):
    workdir.check_same(tmp_path / "new", tiny())
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="is a file"):
        workdir.check_same(tmp_path / "file", tiny())
    with pytest.raises(ValueError, match="not empty and holds no run"):
        workdir.check_same(tmp_path, tiny())
    with pytest.raises(FileNotFoundError, match="is not a run's workdir"):
        workdir.load_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        workdir.load_config(tmp_path)


def test_an_older_run_is_read_in_todays_fields(tmp_path, tiny):
    older = tiny().to_dict()
    del older["train"]["cpu_devices"]
    older["diffusion"]["scaling"] = "own"
    (tmp_path / workdir.CONFIG).write_text(json.dumps(older))
    assert workdir.load_config(tmp_path) == tiny()
    workdir.check_same(tmp_path, tiny())
    # the same config does not rewrite it; another one does
    workdir.save_config(tmp_path, tiny())
    assert workdir.read_config(tmp_path) == json.loads(json.dumps(older))
    workdir.save_config(tmp_path, tiny(num_steps=9))
    assert workdir.read_config(tmp_path)["diffusion"]["scaling"] == "unscaled"


def test_an_unknown_field_names_the_file(tmp_path, tiny):
    newer = tiny().to_dict()
    newer["train"]["warmth"] = 3
    (tmp_path / workdir.CONFIG).write_text(json.dumps(newer))
    with pytest.raises(ValueError, match=r"config\.json: .*no field train\.warmth"):
        workdir.load_config(tmp_path)


def test_where_data_lie_and_what_nothing_takes_make_no_other_run(tmp_path, tiny):
    stored = tiny(data__size=16)  # a table has no size: of an older run
    workdir.save_config(tmp_path, stored)
    workdir.check_same(tmp_path, tiny(data__path="elsewhere", data__data_dir="/mnt"))


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [("", "a" * 16, True), ("2-x", "x", True), ("x", "y", False), ("x", "x", True)],
)
def test_a_checksum_is_compared_with_one_of_its_formula(old, new, same, tiny):
    stored, config = (
        tiny(data__name="table", data__checksum=checksum) for checksum in (old, new)
    )
    assert (workdir.differing(stored, config) == []) == same


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"sampler__num_steps": 77},
        {"cpu_devices": 2},
        {"data__path": "elsewhere"},
    ],
)
def test_what_a_trained_run_may_change(tmp_path, tiny, fields):
    workdir.save_config(tmp_path, tiny())
    workdir.check_unchanged(tmp_path, tiny(**fields))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model__hidden": 16}, r"cannot have model\.hidden=16 \(stored: 8\)"),
        ({"diffusion__prediction": "eps"}, r"diffusion\.prediction='eps'"),
        ({"num_steps": 99}, r"train\.num_steps=99"),
    ],
)
def test_what_a_trained_run_cannot_change(tmp_path, tiny, fields, words):
    workdir.save_config(tmp_path, tiny())
    with pytest.raises(ValueError, match=words):
        workdir.check_unchanged(tmp_path, tiny(**fields))


def test_a_table_may_move_and_not_change(tmp_path, tiny):
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text("a,b\n1.0,2.0\n2.0,5.0\n3.0,4.0\n")

    def of_table(path):
        config = tiny(data__name="table", data__path=str(path), batch_size=4)
        fields.settle(config)  # what was for made-up data
        return config

    run = setup.prepare(of_table(first), tmp_path / "run")
    assert run.experiment.config.data.checksum
    workdir.save_config(tmp_path / "run", run.experiment.config)
    second.write_bytes(first.read_bytes())
    setup.prepare(of_table(second), tmp_path / "run")
    second.write_text("a,b\n1.0,2.0\n2.0,5.0\n3.0,9.0\n")
    with pytest.raises(ValueError, match=r"data\.checksum=.*second\.csv has"):
        setup.prepare(of_table(second), tmp_path / "run")


def test_a_run_keeps_the_rules_by_which_it_read_its_data(tmp_path, tiny):
    config = tiny(data__name="folder", data__path="pictures")
    stored = config.to_dict()
    del stored["data"]["rules"]  # as runs before them
    (tmp_path / "config.json").write_text(json.dumps(stored, default=list))
    assert config.data.rules == 2
    recalled = workdir.recall(tmp_path, config)
    assert recalled.data.rules == 1
    workdir.check_same(tmp_path, recalled)
    assert fields.check(recalled, stored=workdir.load_config(tmp_path)) == []
    workdir.save_config(tmp_path / "new", config)
    assert workdir.recall(tmp_path / "new", config).data.rules == 2
    of_other_data = tiny()
    of_other_data.data.rules = 1  # nobody set it
    assert fields.check(of_other_data) == []
