"""The table of solvers: measured orders, and the law of 100,000 samples."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from tqdm import tqdm

from jaxdiff import rng
from jaxdiff.arrays import expand
from jaxdiff.choices import members
from jaxdiff.diffusion import (
    analytic,
    grids,
    predictions,
    sampling,
    schedules,
    solvers,
)
from jaxdiff.diffusion.analytic import Mixture
from jaxdiff.diffusion.denoisers import make_denoise
from jaxdiff.diffusion.predictions import make_target
from jaxdiff.diffusion.types import Denoised, Schedule, Solver
from jaxdiff.plots import curves
from jaxdiff.runs.bench import orders

# Families of schedules: two of betas, and one of each other kind.
SCHEDULES = ("linear_beta", "cosine", "angle", "sigmoid", "linear_mix", "edm")
COUNT = 100_000
# Steps down to the data when the law is looked at: so many that what is left of the
# error is below the standard error of COUNT samples.
STEPS = {1: 2000, 2: 300}

# Two laws in the plane, of two normals each, turned so that their covariances have all
# their entries, and the schedule of each.
HALVES = np.full((2, 2), 0.5)
LAWS = {
    "normal, cosine": Mixture(
        HALVES, np.array([[0.3, -0.2]] * 2), np.array([[0.5, 0.25]] * 2)
    ),
    "two modes, edm": Mixture(
        HALVES, np.array([[-1.0, 0.3], [1.0, 0.3]]), np.array([[0.4, 0.5]] * 2)
    ),
}
TURN = np.array([[0.8, -0.6], [0.6, 0.8]])


def bench_solvers(out: Path) -> list[dict[str, Any]]:
    """One row a solver; writes orders.png and orders.json to `out`.

    Columns: the order that the solver states; the order measured with each schedule;
    its largest difference between predictions; the largest error of the means,
    variances and covariances of COUNT samples, in standard errors.
    """
    out.mkdir(parents=True, exist_ok=True)
    variants = [
        (name, fields)
        for name in sorted(members(solvers))
        for fields in orders.VARIANTS.get(name, [{}]) or [{}]
        if orders.load(name).ORDER
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
        title="orders of convergence, measured in closed form",
    )
    (out / "orders.json").write_text(json.dumps(rows, indent=2) + "\n")
    return rows


def _row(name, fields):
    text = ", ".join(f"{k}={v}" for k, v in fields.items())
    row: dict[str, Any] = {"solver": f"{name}({text})" if text else name}
    row["stated"] = order = orders.load(name).ORDER
    row |= dict.fromkeys(SCHEDULES)
    if orders.VARIANTS.get(name, [{}]):
        measured, row["predictions"] = orders_of(name, fields)
        row |= measured
    for k, (title, law) in enumerate(LAWS.items()):
        schedule = getattr(schedules, title.split(", ")[1])()
        n = STEPS[min(order, 2)]
        solver = orders.load(name).make(schedule, **orders.of_steps(fields, n))
        row[title] = law_score(law, solver, schedule, n, seed=k)
    return row


def orders_of(name: str, fields: dict[str, Any]) -> tuple[dict[str, float], float]:
    """The order with each schedule, and its largest difference between predictions."""
    measured, apart = {}, 0.0
    with jax.enable_x64(True):
        made = orders.as_one([getattr(schedules, curve)() for curve in SCHEDULES])
        rows = orders.one_of([make() for make in members(predictions).values()])
        for curve, schedule in zip(SCHEDULES, made, strict=True):
            each = []
            for row in rows:
                network = Partial(_network, row)
                denoise = make_denoise(network, schedule=schedule, prediction=row)
                bound = Partial(_bound, denoise)
                each.append(orders.measure(name, fields, schedule, bound).order)
            measured[curve] = each[0]
            apart = max(apart, float(np.ptp(each)))
    return measured, apart


def law_score(
    law: Mixture,
    solver: Solver,
    schedule: Schedule,
    num_steps: int,
    *,
    seed: int,
) -> float:
    """The largest error of COUNT samples in standard errors, of five."""
    ts = jnp.asarray(grids.karras(schedule, num_steps), jnp.float32)
    key = jax.random.key(seed)
    x0 = jnp.asarray(_drawn(law, COUNT, seed), jnp.float32)
    z = jax.random.normal(jax.random.fold_in(key, COUNT), x0.shape)
    x_T = schedule.alpha(ts[0]) * x0 + schedule.sigma(ts[0]) * z
    seeds = rng.split_by(key, jnp.arange(COUNT))
    denoise = Partial(_turned, law, schedule)
    x = np.asarray(sampling.sample(seeds, denoise, solver, ts, x_T), np.float64)
    return float(np.abs(_scores(law, x)).max())


def _drawn(law, count, seed):
    """Of the law itself, f64[count, 2]."""
    gen = np.random.default_rng(seed)
    modes = np.where(gen.random((count, 1)) < 0.5, *law.means)
    return (modes + law.stds[0] * gen.standard_normal((count, 2))) @ TURN.T


def _scores(law, x):
    """Means, variances and covariance less the truth, in standard errors, f64[5]."""
    mean, variance = analytic.moments(law)
    cov = TURN @ np.diag(variance) @ TURN.T
    gaps = x - TURN @ mean
    pairs = [gaps[:, i] * gaps[:, j] - cov[i, j] for i, j in ((0, 0), (1, 1), (0, 1))]
    values = np.stack([*gaps.T, *pairs])
    return values.mean(axis=1) / (values.std(axis=1) / np.sqrt(len(x)))


def _turned(law, schedule, x, t, cond):
    del cond
    turn = jnp.asarray(TURN, x.dtype)
    den = analytic.make_denoise(law, schedule)(x @ turn, t, None)
    return Denoised(den.x0 @ turn.T, jnp.full_like(x, 0.25))


def _network(prediction, x_t, c, cond):
    """The exact network of that prediction, from the exact estimate."""
    del cond
    alpha, sigma = expand(c.alpha, x_t), expand(c.sigma, x_t)
    x0 = analytic.posterior_mean(orders.DATA, x_t, alpha, sigma)
    return make_target(prediction(c), x0, (x_t - alpha * x0) / sigma)


def _bound(denoise, x, t):
    den = denoise(x, t, None)
    return den._replace(var_frac=jnp.full_like(x, 0.25))
