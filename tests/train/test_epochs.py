"""Means by epoch out of a log, against the losses of all steps."""

import numpy as np
import pytest

from jaxdiff.train import epochs

N, B = 204, 10  # 20.4 steps: epochs of 20, 21, 20, 21, 20 and 20


def log(losses, ends):
    """The rows of a log whose lines are written after the steps `ends`."""
    rows = []
    for before, last in zip([0, *ends], ends, strict=False):
        part = losses[before:last]
        row = {"step": last, "loss": float(np.mean(part)), "epoch": last * B / N}
        rows.append(row | epochs.new_part(part, last, examples=N, batch=B))
    return rows


def expected(losses):
    """The means of whole epochs: a step belongs to that of most of its examples."""
    middle = (np.arange(len(losses)) + 0.5) * B
    groups = [losses[middle // N == e] for e in range(int(len(losses) * B / N) + 1)]
    ends = np.cumsum([len(group) for group in groups])
    whole = [e for e in range(len(groups)) if ends[e] == int((e + 1) * N / B + 0.5)]
    return [(e + 1, ends[e], len(groups[e]), groups[e].mean()) for e in whole]


@pytest.mark.parametrize(
    "ends",
    [
        [*range(7, 126, 7), 130],
        [*range(20, 131, 20)],
        [*range(1, 131)],
        [3, 19, 33, 34, 50, 51, 70, 90, 101, 110, 130],  # of a run that was stopped
    ],
)
def test_the_means_are_exact_wherever_lines_end(ends):
    losses = np.random.default_rng(0).random(130)
    got = epochs.means(log(losses, ends), B)
    assert [tuple(epoch) for epoch in got] == [
        pytest.approx(row) for row in expected(losses[: ends[-1]])
    ]
    assert [e.number for e in got] == list(range(1, 1 + int(ends[-1] / 20.4)))


def test_epochs_that_the_rows_do_not_determine_are_left_out():
    losses = np.arange(1.0, 131.0)
    rows = log(losses, [15, 30, 75, 90, 105, 125])  # 31 to 75 has parts of three
    kept = [row for row in expected(losses) if row[0] in (1, 5, 6)]
    assert [tuple(e) for e in epochs.means(rows, B)] == [*map(pytest.approx, kept)]
    older = [{k: v for k, v in row.items() if k != epochs.NEW} for row in rows]
    assert epochs.means(older, B) == []
    assert [e.number for e in epochs.means(older[:1] + rows[1:], B)] == [1, 5, 6]
    grown = [*rows[:-1], rows[-1] | {"epoch": 125 * B / (N + 50)}]
    assert epochs.means(grown, B) == []
    assert epochs.means([{"step": 3, "loss": 1.0}], B) == epochs.means([], B) == []


@pytest.mark.parametrize(("batch", "steps"), [(50, 20), (10, 20 * 104)])
def test_epochs_of_a_few_steps_and_very_many_are_not_for_readers(batch, steps):
    row = {"step": 1, "loss": 1.0, "epoch": batch / N}
    rows = [row | {"step": s, "epoch": s * batch / N} for s in range(1, 1 + steps)]
    assert not epochs.means(rows, batch) and steps * batch > N


def test_they_are_written_as_the_article_has_them():
    assert epochs.in_words([epochs.Epoch(1, 144, 144, 0.028914)]) == [
        "epoch 1: mean loss 0.0289"
    ]
