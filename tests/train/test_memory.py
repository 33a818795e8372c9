"""Memory that is exhausted names the field to lower."""

from functools import partial

import jax
import numpy as np
import pytest

from jaxdiff.train import memory

XLA = "RESOURCE_EXHAUSTED: Out of memory allocating 40000000000000 bytes."
CASES = {
    "xla": (jax.errors.JaxRuntimeError(XLA), "; another 40000000000000 bytes could"),
    "numpy": (
        MemoryError("Unable to allocate 7.11 PiB for an array"),
        "; another 7.11 PiB",
    ),
    "bare": (MemoryError(), "MiB: "),
}
OF_TRAINING = partial(memory.enough, "train.batch_size", 64)


@pytest.mark.parametrize("name", CASES)
def test_the_field_and_the_peak_are_named(name):
    error, words = CASES[name]
    text = r"memory is exhausted with train\.batch_size=64 \(peak .*memory, MiB: [\d,]+"
    with pytest.raises(MemoryError, match=text) as caught, OF_TRAINING():
        raise error
    assert words in str(caught.value)
    assert "Lower train.batch_size" in str(caught.value)


def test_the_field_nearest_to_the_cause_is_named():
    with (
        pytest.raises(MemoryError, match=r"with sampler\.batch_size=5 "),
        OF_TRAINING(),
        memory.enough("sampler.batch_size", 5),
    ):
        np.zeros(10**17)


def test_other_errors_of_xla_stay_as_they_are():
    error = jax.errors.JaxRuntimeError("INTERNAL: a bug")
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"), OF_TRAINING():
        raise error


def test_a_batch_larger_than_the_machine_is_refused(tmp_path, monkeypatch):
    memory.check_fits("train.batch_size", 64, (8, 8))
    words = r"train\.batch_size=64 needs 16,384\.0 GiB .* this machine has"
    with pytest.raises(ValueError, match=words):
        memory.check_fits("train.batch_size", 64, (2**36,))
    monkeypatch.setattr(memory, "LIMIT", tmp_path / "max")  # of a container
    for text in ("16383\n", "max\n"):
        (tmp_path / "max").write_text(text)
        if text == "max\n":
            memory.check_fits("train.batch_size", 64, (8, 8))
        else:
            with pytest.raises(ValueError, match="this machine has 0"):
                memory.check_fits("train.batch_size", 64, (8, 8))
