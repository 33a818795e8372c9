"""Iris beside a PyTorch program: one line of error for what is missing."""

import pytest

from configs.iris import get_config
from jaxdiff.runs.bench import iris


@pytest.fixture
def python(tmp_path):
    """One that can import nothing."""
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    return str(fake)


def test_a_python_without_torch_is_a_clear_error(python, tmp_path, monkeypatch):
    monkeypatch.setattr(iris, "PROGRAM", tmp_path / "python")
    with pytest.raises(ValueError, match="cannot import torch"):
        iris.bench_iris(get_config("smoke"), 1, python)


def test_an_installation_without_the_program_is_a_clear_error(
    python, tmp_path, monkeypatch
):
    monkeypatch.setattr(iris, "PROGRAM", tmp_path / "iris_torch.py")
    with pytest.raises(ValueError, match=r"no .*iris_torch\.py, the program to"):
        iris.bench_iris(get_config("smoke"), 1, python)


def test_other_data_are_refused(python):
    config = get_config("smoke")
    config.data.columns = ("class", "petal width (cm)")
    with pytest.raises(ValueError, match=r"needs all of data\.name='iris'"):
        iris.bench_iris(config, 1, python)
