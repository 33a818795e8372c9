"""The table of solvers: their measured orders, and the moments of their samples."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm.auto import tqdm

from jaxdiff.choices import members
from jaxdiff.diffusion import orders, predictions, schedules, solvers
from jaxdiff.diffusion.sample_moments import LAWS, largest_score
from jaxdiff.files import write_json
from jaxdiff.plots import curves

# Two schedules given by betas, and one of every other family.
SCHEDULES = ("linear_beta", "cosine", "angle", "sigmoid", "linear_mix", "edm")
# The schedule with which each distribution is sampled.
SAMPLED = {"normal": "cosine", "two modes": "edm"}
COUNT = 100_000
# Steps down to the data by the solver's order, enough for its error to be below the
# standard error of COUNT samples.
STEPS = {1: 2000, 2: 300}


def bench_solvers(out: Path) -> list[dict[str, Any]]:
    """One row per solver; writes orders.png and orders.json to `out`.

    Columns: the order that the solver states; the order measured with each schedule;
    its largest difference between predictions; for two distributions, the largest error
    of the means, variances and covariance of COUNT samples, in standard errors.
    """
    out.mkdir(parents=True, exist_ok=True)
    variants = [
        (name, fields)
        for name in sorted(members(solvers))
        for fields in orders.VARIANTS.get(name, [{}])
        if getattr(solvers, name).ORDER
    ]
    rows = [_row(*one) for one in tqdm(variants, desc="solvers", disable=None)]
    stated = np.array([row["stated"] for row in rows], np.float64)
    values = np.array([[row[n] for n in SCHEDULES] for row in rows], np.float64)
    curves.save_heat(
        out / "orders.png",
        values,
        colours=values - stated[:, None],
        limit=0.5,
        rows=[f"{row['solver']} (states {row['stated']})" for row in rows],
        columns=list(SCHEDULES),
        bar="measured order, less the stated one",
        title="orders of convergence, measured in closed form",
    )
    write_json(out / "orders.json", rows)
    return rows


def _row(name, fields):
    file = getattr(solvers, name)
    text = ", ".join(f"{k}={v}" for k, v in fields.items())
    row: dict[str, Any] = {"solver": f"{name}({text})" if text else name}
    row["stated"] = file.ORDER
    row |= dict.fromkeys(SCHEDULES)
    if name not in orders.OFF_PATH:
        measured, row["predictions"] = orders_of(file.make, fields)
        row |= measured
    for k, (law, curve) in enumerate(SAMPLED.items()):
        schedule, n = getattr(schedules, curve)(), STEPS[min(file.ORDER, 2)]
        args = file.make(schedule, **orders.of_steps(fields, n)), schedule, n
        row[f"{law}, {curve}"] = largest_score(LAWS[law], *args, num=COUNT, seed=k)
    return row


def orders_of(make: Callable, fields: dict[str, Any]) -> tuple[dict[str, float], float]:
    """The order with each schedule, and the largest difference between predictions."""
    measured, apart = {}, 0.0
    with jax.enable_x64(True):
        made = orders.as_one([getattr(schedules, curve)() for curve in SCHEDULES])
        rows = orders.one_of([make() for make in members(predictions).values()])
        for curve, schedule in zip(SCHEDULES, made, strict=True):
            denoisers = [orders.through_network(row, schedule) for row in rows]
            every = [orders.measure(make, fields, schedule, d).order for d in denoisers]
            measured[curve] = every[0]
            apart = max(apart, float(np.ptp(every)))
    return measured, apart
