"""Notes on standard error, about what works and may not be what the user meant."""

import sys
from functools import cache

from tqdm import tqdm

# The share of a grid's log-SNR range that one step may cover. On the cosine schedule
# heun and plms fail at .57, in 25 even steps, and work at .49, in 50.
MOST = 0.5


def note(text: str) -> None:
    """One line on stderr."""
    tqdm.write(f"note: {text}", file=sys.stderr)


@cache
def note_once(text: str) -> None:
    """One line on stderr, which the same process does not repeat."""
    note(text)


def long_step(grid: str, solver: str, share: float) -> None:
    """A note if the longest step covers too much for a solver with a grid of its own.

    Args: grid, solver: as the config has them.  share: see sampling.longest_step.
    """
    if share > MOST:
        note_once(
            f"one step of sampler.grid={grid} covers {share:.0%} of the log-SNR, too "
            f"much for {solver}: samples can be noise; set sampler.grid=auto, or more "
            "sampler.num_steps"
        )
