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


def in_words(seconds: int | float) -> str:
    """ "5 s", "3 min 20 s", "2 h 5 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
