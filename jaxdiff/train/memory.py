"""Memory that is exhausted: an error that names the field to lower."""

import contextlib
import re
from collections.abc import Iterator

import jax

from jaxdiff.train.timing import peak_memory


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
            + (f"; {size[1]} more are not there" if size else "")
            + f"). Lower {field}, or take a smaller model"
        ) from error
