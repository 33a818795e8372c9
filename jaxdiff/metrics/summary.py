"""A summary in words of generated columns, given others."""

from collections.abc import Mapping

import numpy as np

from jaxdiff.metrics.inference import QUANTILES, inside, interval


def describe(
    title: str,
    generated: Mapping[str, np.ndarray],
    real: Mapping[str, np.ndarray] | None,
) -> list[str]:
    """Lines: shares of a column's categories, or mean, quantiles and coverage.

    title: what was given.  generated: the other columns, {name: f64[n] or str[n]}.
    real: the rows of which the same was given, if there are any.
    """
    lines, numbers = [f"given {title}:"], []
    for name, column in generated.items():
        values = np.asarray(column)
        if values.dtype.kind == "f":
            numbers.append(_row(name, values, None if real is None else real[name]))
        else:
            kinds, counts = np.unique(values, return_counts=True)
            order = np.argsort(-counts, kind="stable")
            shares = (f"{kinds[i]} {counts[i] / len(values):.1%}" for i in order)
            lines.append(f"  {name}: {', '.join(shares)}")
    if numbers:
        head = ["", "mean", *(f"{q:.0%}" for q in QUANTILES)]
        if real is not None:
            size = len(next(iter(real.values())))
            head.append(f"of {size} real rows in 5%-95%")
        table = [head, *numbers]
        widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
        for row in table:
            cells = [row[0].ljust(widths[0])]
            cells += [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
            lines.append("  " + "  ".join(cells))
    return lines


def _row(name, values, real):
    ends = np.quantile(values, QUANTILES)
    row = [name, *(f"{v:.4g}" for v in (values.mean(), *ends))]
    if real is not None:
        row.append(f"{inside(real, *interval(values)).mean():.1%}")
    return row
