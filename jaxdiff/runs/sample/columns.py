"""A summary in words of a table's free columns, given the others."""

import numpy as np

from jaxdiff.data.given import GivenColumns
from jaxdiff.data.layout import Columns
from jaxdiff.metrics.inference import QUANTILES, inside, interval


def describe(
    given: GivenColumns, generated: Columns, real: Columns | None
) -> list[str]:
    """Lines: shares of a free column's categories, or mean, quantiles and coverage.

    generated, real: {column: f64[n] or str[n]}; real: of given.matching_rows.
    """
    lines, numbers = [f"given {given.title}:"], []
    for name in (n for n in generated if n not in given.texts):
        values = np.asarray(generated[name])
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
