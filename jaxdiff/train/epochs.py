"""The mean loss of each epoch, exactly, out of a log whose lines cross epochs.

With n examples and batches of b, a step belongs to the epoch that most of its examples
are from. Epoch e = 1, 2, ... ends with the step

(1)  end(e) = floor(e n / b + 1/2)

A line of the log has the mean loss since the line before. Where a new epoch began in
between, it has the mean of that epoch's steps as well (NEW). The lines alone then give
the sum of every epoch that is as long as an interval, also in a run that was stopped.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

# The field of a line in which an epoch began.
NEW = "loss_of_new_epoch"
# Means by epoch are for readers where epochs are few, and not made of a few steps.
MOST, LEAST_STEPS = 100, 5


class Epoch(NamedTuple):
    """number: from 1.  last: its last step.  steps: how many.  loss: their mean."""

    number: int
    last: int
    steps: int
    loss: float


def new_part(
    losses: np.ndarray, last: int, *, examples: int, batch: int
) -> dict[str, float]:
    """{NEW: mean loss of the newest epoch's steps}, or {} if it began before them.

    Args: losses: f[k] of the steps up to `last`.
    """
    steps = last - _end(_epoch_of(last, examples, batch) - 1, examples, batch)
    if steps >= len(losses):
        return {}
    return {NEW: float(np.mean(losses[-steps:], dtype=np.float64))}


def means(rows: Sequence[dict[str, Any]], batch: int) -> list[Epoch]:
    """The whole epochs whose losses the rows of a log determine.

    Where a row spans three epochs or more, or lacks NEW (an older run), the epochs that
    it touches are left out. All are, if there are more than MOST, if any is shorter
    than LEAST_STEPS, and if the number of examples changed.
    """
    sizes = {round(r["step"] * batch / r["epoch"]) for r in rows if "epoch" in r}
    if len(sizes) != 1:
        return []
    n, sums, counts, before = sizes.pop(), Counter(), Counter(), 0
    for row in rows:
        a, b, total = before, row["step"], row["loss"] * (row["step"] - before)
        before, first, newest = b, _epoch_of(a + 1, n, batch), _epoch_of(b, n, batch)
        inside = b - max(a, _end(newest - 1, n, batch))
        if newest == first + 1 and NEW in row:
            counts[first] += b - a - inside
            sums[first] += total - row[NEW] * inside
            total = row[NEW] * inside
        elif newest != first:
            continue
        counts[newest] += inside
        sums[newest] += total
    ends = {e: _end(e, n, batch) for e in range(_epoch_of(before, n, batch) + 1)}
    lengths = {e: ends[e] - ends[e - 1] for e in ends if e}
    whole = [e for e in sorted(counts) if counts[e] == lengths[e]]
    if len(whole) > MOST or min(lengths.values()) < LEAST_STEPS:
        return []
    return [Epoch(e, ends[e], lengths[e], sums[e] / lengths[e]) for e in whole]


def in_words(epochs: Sequence[Epoch]) -> list[str]:
    """A line for each: "epoch 1: mean loss 0.0289"."""
    return [f"epoch {e.number}: mean loss {e.loss:.3g}" for e in epochs]


def _end(epoch: int, examples: int, batch: int) -> int:
    """Equation 1."""
    return (2 * epoch * examples + batch) // (2 * batch)


def _epoch_of(step: int, examples: int, batch: int) -> int:
    """The first epoch e with end(e) >= step."""
    return -(-(2 * step - 1) * batch // (2 * examples))
