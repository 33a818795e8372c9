"""Two commands on one folder."""

import pytest

from jaxdiff.lock import locked
from jaxdiff.runs import workdir as files
from jaxdiff.runs.sample import run as sample
from jaxdiff.runs.train import loop
from tests.runs.conftest import at


def test_a_run_has_one_writer_and_any_readers(tmp_path, whole):
    folder = tmp_path / "run"
    run = at(whole[1], folder)
    with locked(folder), pytest.raises(ValueError, match="being written by process"):
        loop.run(run)
    assert not (folder / files.CONFIG).exists()
    loop.run(run)
    with locked(folder):
        request = sample.prepare(run.experiment, out=tmp_path / "out", num=2)
        with (
            locked(tmp_path / "out"),
            pytest.raises(ValueError, match="being written by process"),
        ):
            sample.run(request)
        sample.run(request)
