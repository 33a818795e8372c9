"""What `prepare` notes of a run, in one line, before any work."""

import re

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
