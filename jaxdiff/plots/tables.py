"""Tables as pair plots: every numeric column against every other, coloured by class."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

# A pair plot of more columns than this is too small to read.
MOST_COLUMNS = 6


def save_pairs(path: Path, panels: dict[str, dict[str, np.ndarray]]) -> None:
    """Pair plots side by side. panels: title -> {column: values f[n] or str[n]}.

    Numeric columns are plotted (the first MOST_COLUMNS); the first column of text gives
    the colours. Panels share their axes' limits, so that they can be compared.
    """
    first = next(iter(panels.values()))
    numeric = [c for c, v in first.items() if _is_number(v)][:MOST_COLUMNS]
    texts = [c for c, v in first.items() if not _is_number(v)]
    kinds = sorted({k for p in panels.values() for k in p[texts[0]]}) if texts else [""]
    n = max(len(numeric), 1)
    figure = Figure(figsize=(1.9 * n * len(panels), 1.9 * n), layout="constrained")
    parts = figure.subfigures(1, len(panels), squeeze=False)[0]
    limits = {c: _limits([p[c] for p in panels.values()]) for c in numeric}
    for part, (title, columns) in zip(parts, panels.items(), strict=True):
        part.suptitle(f"{title} ({len(next(iter(columns.values())))} rows)")
        axes = part.subplots(n, n, squeeze=False)
        for kind in kinds:
            mask = columns[texts[0]] == kind if texts else slice(None)
            _draw(axes, {c: columns[c][mask] for c in numeric}, limits, str(kind))
        if texts and numeric:
            axes[0, -1].legend(fontsize=6, title=texts[0], title_fontsize=6)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def _draw(axes, columns, limits, label):
    for i, (row, y) in enumerate(columns.items()):
        for j, (column, x) in enumerate(columns.items()):
            axis = axes[i, j]
            if i == j:
                bins = np.linspace(*limits[column], 21)
                axis.hist(x, bins=bins, alpha=0.5, label=label)
            else:
                axis.scatter(x, y, s=5, alpha=0.6, label=label)
                axis.set_ylim(limits[row])
            axis.set_xlim(limits[column])
            axis.tick_params(labelsize=5)
            axis.set_xlabel(column if i == len(axes) - 1 else "", fontsize=7)
            axis.set_ylabel(row if j == 0 else "", fontsize=7)


def _limits(values):
    joined = np.concatenate(values)
    low, high = float(joined.min()), float(joined.max())
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _is_number(values):
    return np.asarray(values).dtype.kind in "fiu"
