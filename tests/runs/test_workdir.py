"""The workdir: what is stored, compared and cut back."""

import json

import pytest

from jaxdiff.runs import workdir


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


def test_a_line_cut_short_by_a_kill_is_dropped(tmp_path):
    rows = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / workdir.METRICS).write_text(text + '{"step": 3, "lo')
    assert workdir.read_metrics(tmp_path) == rows
    log = workdir.Log(tmp_path, 1)  # resuming at step 1 forgets step 2
    log.write(2, {"loss": 0.5})
    log.close()
    assert workdir.read_metrics(tmp_path) == [rows[0], {"step": 2, "loss": 0.5}]
