"""Memory that is exhausted: an error that names the field to lower."""

import contextlib
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

import jax

from jaxdiff.arrays import require
from jaxdiff.train.timing import peak_memory

# Where Linux keeps the limit of a container: a number of bytes, or "max".
LIMIT = Path("/sys/fs/cgroup/memory.max")


class ExhaustedError(MemoryError):
    """An allocation failed; the message names the field to lower."""


@contextlib.contextmanager
def enough(field: str, value: int) -> Iterator[None]:
    """Inside, an allocation that fails raises ExhaustedError.

    field, value: of the config, which decides how much memory is needed.
    """
    try:
        yield
    except ExhaustedError:  # of another field, nearer to the cause
        raise
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        text = str(error)
        if isinstance(error, jax.errors.JaxRuntimeError) and "EXHAUSTED" not in text:
            raise
        size = re.search(r"allocat\w* ([\d.,]+ ?\w+)", text)
        ((title, peak),) = peak_memory().items()
        raise ExhaustedError(
            f"memory is exhausted with {field}={value} ({title}: {peak:,.0f}"
            + (f"; another {size[1]} could not be allocated" if size else "")
            + f"). Lower {field}, or take a smaller model"
        ) from error


def check_fits(field: str, value: int, shape: tuple[int, ...]) -> None:
    """ValueError for a batch that is larger than the machine's memory: the system would
    end the process without a word.

    value: examples in the batch.  shape: of one, f32.
    """
    size = 4 * math.prod(shape) * value
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    text = LIMIT.read_text().strip() if LIMIT.is_file() else ""
    most = min(most, int(text)) if text.isdecimal() else most
    require(
        size <= most,
        f"{field}={value} needs {size / 2**30:,.1f} GiB for the examples of a "
        f"batch alone, and this machine has {most / 2**30:,.1f}; lower it",
    )
