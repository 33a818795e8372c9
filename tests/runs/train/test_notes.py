"""What `prepare` notes of a run, in one line, before any work."""

import re

import pytest

from jaxdiff.runs.train import setup
from tests.runs.conftest import tiny_config, untrained


def test_a_rate_that_jumps_where_a_run_continues_is_noted(tmp_path, capsys):
    config = tiny_config(lr="cosine(peak=1e-3)")
    untrained(config, tmp_path, step=8)
    setup.prepare(config, tmp_path)
    assert capsys.readouterr().err == ""
    config.train.num_steps = 16
    setup.prepare(config, tmp_path)
    (line,) = capsys.readouterr().err.splitlines()
    begins = re.escape("note: train.lr=cosine(peak=1e-3): the run continues at step 8")
    assert re.match(rf"{begins}, where the rate jumps from 3\.8e-05 to 0\.0005", line)


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("tensorbord", "train.trackers: no 'tensorbord'; did you mean 'tensorboard'"),
        ("os.system", "train.trackers: no 'os.system'"),  # a stored run runs no code
        ("wandb(team='x')", "wandb has no field 'team'"),
    ],
)
def test_a_tracker_that_is_none_is_refused_before_work(spec, match, tmp_path):
    with pytest.raises(ValueError, match=match):
        setup.prepare(tiny_config(trackers=(spec,)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_trackers_may_change_when_a_run_resumes(tmp_path):
    config = tiny_config()
    untrained(config, tmp_path, step=8)
    config.train.trackers = ()
    assert setup.prepare(config, tmp_path).trackers == []
