"""The terms of the variational bound over t, beside the weights of the training loss.

(1)  bound = prior + sum of L_t over the steps + decoder      likelihood.py, eq. 1
(2)  L_t = w(t) |out - target|^2 + c,  loss = E f(t) |out - target|^2   term_weights.py

All terms have the error of one network in them. Their sum is therefore an average over
random t, which one loss trains. It differs from the bound in the weight alone: the
simple loss, f = 1, leaves w out.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxdiff import build
from jaxdiff.diffusion import term_weights
from jaxdiff.metrics.averages import Average, average
from jaxdiff.plots.stacks import Panel, save_stack
from jaxdiff.runs.evaluate import likelihood
from jaxdiff.runs.plot.spec import (
    Numbers,
    PlotRequest,
    PlotSpec,
    always,
    is_upsampler,
)

# Steps of the bound, as launch.evaluate's; examples; the t that the title is about.
STEPS, EXAMPLES, CLEANEST = 100, 100, 0.05


class Terms(NamedTuple):
    """In bits per dimension, averages over the examples.

    t:       f64[STEPS - 1], where each step starts, falling from 1
    steps:   of the step from each t, its KL.  sums: prior and steps down to each t
    """

    t: np.ndarray
    prior: Average
    steps: list[Average]
    sums: list[Average]
    decoder: Average
    bound: Average


def draw_terms(request: PlotRequest, path: Path) -> Numbers:
    """L_t over t, their sum up to the bound, and the weights of bound and loss."""
    prepared = prepare(request)
    terms, record = bound_terms(prepared), prepared.record
    run, frac = request.run, likelihood.fraction(record)
    objective = build.make_objective(run.config, run.source, run.schedule)
    weight = term_weights.compare(objective, run.schedule, terms.t, 1 / STEPS, frac)
    kl = np.array(terms.steps)[:, 0]
    edge = max(CLEANEST, terms.t[-1])
    clean = terms.t <= edge + 1e-6
    share = float(kl[clean].sum() / kl.sum())
    ratio = float(weight["bound"][clean].mean() / weight["loss"][clean].mean())
    times = f"{ratio:.3g} times less" if ratio >= 1 else f"{1 / ratio:.3g} times more"
    title = (
        "Each step's term is a weight times the error of one network: one loss at "
        f"random t trains all steps. Grey, t ≤ {edge:g}: {share:.0%} of the steps' "
        f"bits. Errors there count {times} in the loss trained on than in the bound."
    )
    axis = "time t at which a step starts (0 is data, 1 is noise)"
    panels = _panels(run, terms, weight)
    save_stack(path, panels, xlabel=axis, title=title, shaded=(0.0, edge))
    return {k: record[k] for k in ("step", "num", "steps", "seed")} | {
        **{k: getattr(terms, k)._asdict() for k in ("bound", "prior", "decoder")},
        "t": terms.t,
        "kl": kl,
        "kl_error": [a.error for a in terms.steps],
        "sum": [a.value for a in terms.sums],
        **{f"weight_of_{k}": v for k, v in weight.items()},
        "cleanest": edge,
        "share_of_kl": share,
        "weight_ratio": ratio,
    }


def _panels(run, terms, weight):
    d, t, first, last = run.config.diffusion, terms.t, np.ones(1), np.full(1, 1 / STEPS)
    steps, sums = (np.array(some).T for some in (terms.steps, terms.sums))
    loss = f"the loss trained on: {d.distance} of {d.prediction}, {d.weight} weight"
    decoder, prior = terms.decoder, terms.prior
    lines = {
        f"{len(t)} steps, in all {steps[0].sum():.3g}": (t, *steps),
        f"decoder, {decoder.value:.3g}": (last, *np.array(decoder)[:, None]),
        f"prior, {prior.value:.2g}": (first, *np.array(prior)[:, None]),
    }
    bound = f"the bound, {terms.bound.value:.3g} ± {terms.bound.error:.1g}"
    sums_to = {
        "prior and the steps down to t": (t, *sums),
        bound: (last, *np.array(terms.bound)[:, None]),
    }
    both = {"the bound": (t, weight["bound"]), loss: (t, weight["loss"])}
    return [
        Panel("bits per dimension", lines, log=True),
        Panel("sum, bits per dimension", sums_to),
        Panel("weight of the error, mean 1", both, log=True),
    ]


def prepare(request: PlotRequest) -> likelihood.Request:
    """The discrete bound of launch.evaluate, of the same examples and noise."""
    num = request.num or min(EXAMPLES, len(request.run.source))
    how = {"steps": STEPS, "cleanest": 0.0, "seed": request.seed}
    return likelihood.prepare(request.run, estimates=["discrete"], num=num, **how)


def bound_terms(prepared: likelihood.Request) -> Terms:
    """The averages of what `prepare` is of."""
    arrays = likelihood.estimate(prepared)
    prior, decoder, steps, total = (
        np.asarray(arrays[f"discrete_{k}"], np.float64)
        for k in ("prior", "decoder", "steps", "total")
    )
    return Terms(
        np.linspace(1, 0, STEPS + 1)[:-2],
        average(prior),
        [average(row) for row in steps],
        [average(row) for row in prior + np.cumsum(steps, axis=0)],
        average(decoder),
        average(total, "bpd"),
    )


def _misfit(request: PlotRequest) -> str:
    if request.run.config.data.name == "latents":
        return "is for models of images or rows, not of codes"
    few = len(request.run.source) < 2 or request.num == 1
    return is_upsampler(request) or ("needs 2 or more examples" if few else "")


SPECS = {"terms": PlotSpec(draw_terms, needs=always(("params",)), misfit=_misfit)}
