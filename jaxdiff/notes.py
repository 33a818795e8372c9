"""Notes on standard error, about what works and may not be what the user meant."""

import sys
from functools import cache

from tqdm.auto import tqdm


def note(text: str) -> None:
    """One line on stderr."""
    tqdm.write(f"note: {text}", file=sys.stderr)


@cache
def note_once(text: str) -> None:
    """One line on stderr, which the same process does not repeat."""
    note(text)
