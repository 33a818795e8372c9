"""The results of a sweep: means over seeds, a table, and pictures."""

import difflib
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxdiff.arrays import require
from jaxdiff.files import write_text
from jaxdiff.metrics import titles
from jaxdiff.notes import in_words
from jaxdiff.plots import sweeps
from jaxdiff.runs.evaluate.metrics import METRICS
from jaxdiff.runs.listing.run import HOW
from jaxdiff.runs.sweep.cases import CHANGE, SEED

Row = dict[str, Any]
# Columns of a row that are no figures of the model.
ABOUT = ("case", "run", "step", "seeds", "parameters", "seconds", "state", "problem")


def write(
    out: Path,
    varied: list[str],
    rows: list[Row],
    table: list[Row],
    logs: dict[str, list[dict[str, Any]]],
    figures: list[str],
) -> None:
    """Write OUT/table.md, sweep.png and losses.png.

    Args:   varied: the columns of the rows that the sweep varies.  table: their means.
            logs: of each run, the rows of metrics.jsonl.  figures: to draw.
    Errors: ValueError for a figure that no row has.
    """
    write_text(out / "table.md", markdown(text_rows(table, varied)))
    axes = [column for column in varied if column != SEED]
    lines = _losses(rows, logs, axes)
    if not lines:  # no run has begun
        return
    sweeps.save_losses(out / "losses.png", lines)
    known = figures_of(rows, varied)
    for name in figures:
        require(name in known, f"--figure={name}: the figures are {', '.join(known)}")
    shown, axes = (table, axes) if axes else (rows, [SEED])
    panels = {label(name): _groups(shown, axes, name) for name in figures}
    sweeps.save_swept(out / "sweep.png", panels, xlabel=_across(shown, axes))


def check_figures(
    figures: Sequence[str],
    varied: Collection[str],
    metrics: Collection[str],
    measures: bool,
) -> None:
    """ValueError for a figure that no run will have, as far as that is known before.

    metrics: of the evaluation.  measures: whether runs measure metrics themselves.
    """
    require(figures and all(figures), "--figure is empty: --figure=loss, for example")
    losses = {"loss", "x0_mae", "reconstruction", "kl"}
    losses |= {f"validation_{name}" for name in losses}
    for name in figures:
        require(
            name not in (*ABOUT, *varied, *HOW),
            f"--figure={name} is no figure of the model: loss is one, for example",
        )
        first = name.partition(":")[0].partition(",")[0]
        if first in losses:
            continue
        known = first in titles.TITLES
        close = difflib.get_close_matches(
            first,
            {*titles.TITLES, *losses},
            n=1,
            cutoff=0.6 if first in METRICS else 0.75,
        )
        require(
            known or not close, f"--figure={name}: did you mean {close and close[0]!r}?"
        )
        require(
            not known or metrics or measures,
            f"--figure={name} needs --metrics or --features",
        )
        require(
            not known or measures or first not in METRICS or first in metrics,
            f"--figure={name} needs {name} among --metrics",
        )


def _losses(rows, logs, axes):
    """{name: [(steps, losses)]}, one for each run; a name without the seed."""
    lines, seen = {}, set()
    for row in rows:
        log = logs[row["run"]]
        if log and row["run"] not in seen:
            seen.add(row["run"])
            ends = {k: "" if k == CHANGE else k.rpartition(".")[2] + " " for k in axes}
            short = [f"{end}{row[k]}" for k, end in ends.items()]
            steps, losses = ([line[k] for line in log] for k in ("step", "loss"))
            curve = np.array(steps), np.array(losses)
            lines.setdefault(", ".join(short), []).append(curve)
    return lines


def figures_of(rows: list[Row], varied: list[str]) -> list[str]:
    """The columns that measure the model, in order; no errors."""
    names = dict.fromkeys(name for row in rows for name in row)
    ends = (*ABOUT, *varied)
    return [n for n in names if n not in ends and not n.endswith("_error")]


def means(rows: list[Row], varied: list[str]) -> list[Row]:
    """A row for each combination without the seed: the mean of each figure, and as
    NAME_error its standard error, sqrt(sum (x - mean)^2 / (n - 1) / n) over n seeds.

    "seeds" is n, the least of all figures. Without a seed among `varied` the rows
    themselves.
    """
    if SEED not in varied:
        return rows
    groups: dict[str, list[Row]] = {}
    others = [column for column in varied if column != SEED]
    for row in rows:
        groups.setdefault(repr([row[k] for k in others]), []).append(row)
    return [_mean(some, others, figures_of(rows, varied)) for some in groups.values()]


def _mean(rows, others, figures):
    counts = [sum(r.get(name) is not None for r in rows) for name in figures]
    seeds = min((count for count in counts if count), default=0)
    mean = {k: rows[0][k] for k in others} | {"seeds": seeds}
    mean["step"] = min((r["step"] for r in rows if r["step"] is not None), default=None)
    for name in (*figures, "seconds"):
        values = np.array([r[name] for r in rows if r.get(name) is not None], float)
        if len(values):
            mean[name] = float(values.mean())
        if len(values) > 1 and name != "seconds":
            mean[f"{name}_error"] = float(values.std(ddof=1) / math.sqrt(len(values)))
    states = list(dict.fromkeys(row["state"] for row in rows))
    problems = list(dict.fromkeys(row["problem"] for row in rows if row["problem"]))
    return mean | {
        "parameters": rows[0]["parameters"],
        "state": ", ".join(states),
        "problem": "; ".join(problems),
    }


def text_rows(table: list[Row], varied: list[str]) -> list[dict[str, str]]:
    """The table as it is printed: each figure with its error, if it has one."""
    axes = [column for column in varied if column in table[0]]
    figures = figures_of(table, varied)
    rows = []
    for row in table:
        text = {name: str(row[name]) for name in axes}
        if "seeds" in row:
            text["seeds"] = str(row["seeds"])
        text["step"] = "" if row["step"] is None else f"{row['step']:,}"
        text |= {name: _figure(row, name) for name in figures}
        count, seconds = row["parameters"], row.get("seconds")
        text["parameters"] = "" if count is None else f"{count:,}"
        text["time"] = "" if seconds is None else in_words(seconds)
        text["state"] = row["state"]
        rows.append(text)
    return rows


def _figure(row, name):
    value, error = row.get(name), row.get(f"{name}_error")
    if value is None:
        return ""
    return f"{value:.4g}" + (f" ± {error:.2g}" if error is not None else "")


def markdown(rows: list[dict[str, str]]) -> str:
    names = [*rows[0]]
    lines = [names, ["---"] * len(names), *([row[k] for k in names] for row in rows)]
    cells = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def label(figure: str) -> str:
    """A figure's name, and which direction of it is better."""
    if figure == "loss":
        return titles.Title("training loss").axis()
    if figure.endswith(("_loss", "_bpd")):
        return titles.Title(figure).axis()
    return titles.title(figure).axis() if figure in titles.TITLES else figure


def _across(table, axes):
    """The column along the axis: the first of numbers, or the first."""
    numeric = [k for k in axes if all(_is_number(row.get(k)) for row in table)]
    return [*numeric, *axes][0]


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def _groups(rows: list[Row], axes: list[str], figure: str) -> dict[str, sweeps.Series]:
    """{name of the line: (x, y, errors)}; x are numbers, or names."""
    x = _across(rows, axes)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.get(figure) is not None:
            name = ", ".join(str(row[k]) for k in axes if k != x)
            groups.setdefault(name, []).append(row)
    numeric = x != SEED and all(_is_number(row[x]) for row in rows)
    return {
        name: (
            [float(row[x]) if numeric else str(row[x]) for row in some],
            np.array([row[figure] for row in some], float),
            np.array([row.get(f"{figure}_error", 0.0) for row in some], float),
        )
        for name, some in groups.items()
    }
