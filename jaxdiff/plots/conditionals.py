"""Pictures of columns inferred from other columns, and of how good the inference is."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxdiff.plots import styles
from jaxdiff.plots.page import page
from jaxdiff.plots.saving import save_figure
from jaxdiff.plots.texts import small

Table = dict[str, np.ndarray]

ACROSS = 3
MOST_BINS = 24
GENERATED, REAL = styles.COLOURS[0], styles.COLOURS[1]


@styles.drawn
def save_given(path: Path, title: str, generated: Table, real: Table | None) -> None:
    """Draw each free column of the generated rows, beside the same of the real rows.

    Numbers are histograms with their 5-95 % interval shaded; text is bars.

    Args: title: what was given.  generated: {column: f[n] or str[n]}, the free ones.
          real: the rows that match, with at least these columns, or None.
    """
    across = styles.across(len(generated), 1.5, ACROSS)
    down, width = -(-len(generated) // across), styles.width(max(3.0 * across, 5.0))
    figure = styles.figure(width, down * (0.7 * width / across + 0.4) + 0.3)
    axes = figure.subplots(down, across, squeeze=False)
    for axis in axes.flat[len(generated) :]:
        axis.set_visible(False)
    for axis, (name, values) in zip(axes.flat, generated.items(), strict=False):
        others = None if real is None else real[name]
        draw = _numbers if values.dtype.kind in "fiu" else _bars
        draw(axis, values, others)
        axis.set_title(name)
    for first in axes[:, 0]:
        first.set_ylabel("share of rows")
    figure.suptitle(f"given {title}")
    styles.legend_of(figure, axes.flat)
    save_figure(path, figure)


@styles.drawn
def save_inference(
    path: Path,
    classes: list[str],
    confusion: np.ndarray,
    coverage: dict[str, np.ndarray],
    nominal: float,
    target: str,
) -> None:
    """Draw the confusion matrix, and the coverage of intervals by column and class.

    Args: confusion: i64[k, k], true classes in rows, inferred ones in columns.
          coverage: {column: f[k]}, shares of left-out rows within their interval.
          nominal: the share that the intervals are meant to hold.
          target: the column of the classes.
    """
    k, across = len(classes), styles.across(2, 3.0, 2)
    figure = styles.figure(*((styles.width(9.5), 3.6) if across == 2 else (1.0, 1.9)))
    sizes: dict[str, Any] = (
        {"width_ratios": (1, 1.7)} if across == 2 else {"height_ratios": (1.3, 1)}
    )
    left, right = figure.subplots(2 // across, across, **sizes)
    shares = confusion / confusion.sum(axis=1, keepdims=True)
    left.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(k, k):
        colour = "white" if shares[i, j] > 0.5 else "black"
        left.text(j, i, str(confusion[i, j]), ha="center", va="center", color=colour)
    left.set_xticks(range(k), classes)
    left.set_yticks(range(k), classes, rotation=90, va="center")
    left.set_xlabel(f"{target} inferred from the other columns")
    left.set_ylabel(f"true {target}")
    accuracy = np.trace(confusion) / confusion.sum()
    left.set_title(f"accuracy {accuracy:.3f} on {confusion.sum()} rows left out")
    width, marks = 0.8 / k, []
    for i, style in enumerate(styles.of_classes(classes).values()):
        at = np.arange(len(coverage)) + (i - (k - 1) / 2) * width
        heights = [shares[i] for shares in coverage.values()]
        marks.append(right.bar(at, heights, 0.92 * width, color=style["color"]))
    marks.append(right.axhline(nominal, color="black", linestyle="dashed"))
    right.set_xticks(range(len(coverage)), coverage.keys())
    right.set_ylim(0, 1)
    right.set_ylabel("share of rows left out within")
    right.set_title(f"columns inferred from {target}: coverage of intervals")
    right.grid(axis="y")
    styles.legend(figure, marks, [*classes, f"nominal {nominal:g}"])
    save_figure(path, figure)


def _numbers(axis, values, others):
    joined = values if others is None else np.concatenate([values, others])
    bins = _bins(joined)
    low, high = np.quantile(values, [0.05, 0.95])
    axis.axvspan(low, high, color=GENERATED, alpha=0.12, label="generated, 5-95 %")
    style = {"bins": bins, "histtype": "stepfilled", "alpha": 0.55}
    _histogram(axis, values, color=GENERATED, label="generated", **style)
    if others is not None:
        style = {"bins": bins, "histtype": "step", "linewidth": 2}
        _histogram(axis, others, color=REAL, label=_real(others), **style)
    middle = np.median(values)
    axis.axvline(middle, color=GENERATED, linewidth=1.5, label="generated, median")


def _histogram(axis, values, **style):
    axis.hist(values, weights=np.full(len(values), 1 / len(values)), **style)


def _bins(values):
    """Edges half-way between values as they are written.

    Tenths of a centimetre in bins of .15 would give one bin two values and the next
    one.
    """
    written = np.unique(values.round(9))
    if len(written) == 1:
        return written[0] + np.array([-0.5, 0.5])
    unit, span = np.diff(written).min(), np.ptp(written)
    if span / unit > 1000:  # not rounded to anything
        return np.linspace(written[0], written[-1], MOST_BINS + 1)
    step = unit * max(1, np.ceil((span / unit + 1) / MOST_BINS))
    return np.arange(written[0] - unit / 2, written[-1] + step, step)


def _bars(axis, values, others):
    texts = np.unique(values if others is None else np.concatenate([values, others]))
    pairs = [("generated", values, GENERATED)]
    if others is not None:
        pairs.append((_real(others), others, REAL))
    width = 0.8 / len(pairs)
    for i, (label, some, colour) in enumerate(pairs):
        shares = [float(np.mean(some == text)) for text in texts]
        at = np.arange(len(texts)) + (i - (len(pairs) - 1) / 2) * width
        bars = axis.bar(at, shares, 0.92 * width, color=colour, alpha=0.7, label=label)
        # in a narrow panel shares stand upright, so that they keep clear of each other
        turned = 90 if page().columns and len(texts) * len(pairs) > 3 else 0
        names = [f"{share:.0%}" for share in shares]
        axis.bar_label(bars, names, fontsize=small(), padding=2, rotation=turned)
    axis.set_xticks(range(len(texts)), texts)
    axis.set_xlim(-0.75, len(texts) - 0.25)
    axis.set_ylim(0, 1.35)


def _real(others):
    return f"the {len(others)} real rows that match"
