"""What a page offers of a run, and the requests that it sends, checked."""

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxdiff import build, choices
from jaxdiff.arrays import require
from jaxdiff.data import given as given_columns
from jaxdiff.data.given import GivenColumns
from jaxdiff.diffusion import solvers
from jaxdiff.ranges import SEED
from jaxdiff.runs.experiment import Experiment

# Samples of one request and steps of its solver; less of what is large: values of a
# picture, and of all x_t and x0 of a batch, which a device holds at once.
MOST_NUM, MOST_STEPS = 16, 250
MOST_VALUES, MOST_TRACED = 2**20, 2**28
# Guidance scales beyond this make nothing but saturated pixels.
MOST_GUIDANCE = 100.0
# A solver with its fields, as text.
MOST_LETTERS = 100


class BadRequestError(ValueError):
    """A request that a run cannot meet; the message is for its client."""


class Offer(NamedTuple):
    """What can be requested, and the fields of a page before anything is changed.

    name, step:  of the run.  kind: "images" or "rows"
    classes:     their names; () without labels
    guidance:    the run's scale; None for a model that has none
    steps, num:  the run's number of steps, and a few samples
    most_steps, most_num: that may be requested
    solvers:     those that suit the run, its own first
    columns:     of a table, what can be fixed: {name: its categories, () for numbers}
    """

    name: str
    step: int
    kind: str
    classes: tuple[str, ...]
    guidance: float | None
    steps: int
    most_steps: int
    num: int
    most_num: int
    solvers: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]


class Request(NamedTuple):
    """What one client requests, checked; the fields are those of launch.sample.

    label: number of a class; None for all, as evenly as can be.
    fix:   columns of a table that are given
    """

    seed: int = 0
    num: int = 1
    label: int | None = None
    guidance: float = 1.0
    steps: int = 1
    solver: str = ""
    fix: GivenColumns | None = None


def make_offer(run: Experiment) -> Offer:
    """Errors: ValueError for a run that cannot be sampled, or only from images."""
    run.sampler(with_base=False)  # refuses what is no denoiser
    require(
        not run.is_upsampler,
        f"{run.path} enlarges images of another run, and a page has none to give it: "
        "serve a run that samples by itself",
    )
    s, source = run.config.sampler, run.source
    size = math.prod(source.shape)
    num = max(1, min(MOST_NUM, s.batch_size, MOST_VALUES // size))
    most_steps = max(1, min(MOST_STEPS, MOST_TRACED // (2 * num * size)))
    names = choices.members(solvers)
    others = [name for name in names if name != s.solver and _suits(run, name)]
    layout = source.layout
    return Offer(
        name=run.path.resolve().name,
        step=run.step,
        kind="images" if source.is_image else "rows",
        classes=source.class_names if run.num_classes else (),
        guidance=None if run.task.null is None else float(s.guidance),
        steps=min(s.num_steps, most_steps),
        most_steps=most_steps,
        num=min(4, num),
        most_num=num,
        solvers=(s.solver, *others),
        columns={c.name: c.categories for c in layout.columns} if layout else {},
    )


def _suits(run: Experiment, solver: str) -> bool:
    try:
        build.make_solver(run.with_sampler(solver=solver).config, run.schedule)
    except ValueError:
        return False
    return True


def parse(run: Experiment, offer: Offer, query: Sequence[tuple[str, str]]) -> Request:
    """The request of the names and values of a URL.

    Errors: BadRequestError for a field that is unknown, given twice or not what this
            run takes.
    """
    try:
        return _parse(run, offer, query)
    except ValueError as error:
        raise BadRequestError(str(error)) from None


def _parse(run: Experiment, offer: Offer, query: Sequence[tuple[str, str]]) -> Request:
    fields: dict[str, Any] = {}
    for name, text in query:
        require(
            name in Request._fields,
            f"there is no field {name!r}{choices.hint(name, Request._fields)}",
        )
        require(name == "fix" or name not in fields, f"{name} is given twice")
        if name == "fix":
            fields.setdefault(name, []).append(text)
        elif text:
            fields[name] = text
    label, fix = fields.get("label"), fields.get("fix")
    require(label is None or offer.classes, "label: this model has no classes")
    return Request(
        seed=_whole(fields, "seed", 0, 0, SEED),
        num=_whole(fields, "num", offer.num, 1, offer.most_num),
        label=None if label is None else run.source.class_of(label),
        guidance=_guidance(fields.get("guidance"), offer),
        steps=_whole(fields, "steps", offer.steps, 1, offer.most_steps),
        solver=_solver(fields.get("solver"), offer),
        fix=given_columns.parse(run.source, fix) if fix else None,
    )


def _whole(fields: dict[str, Any], name: str, default: int, low: int, high: int) -> int:
    text = fields.get(name, str(default))
    number = int(text) if re.fullmatch(r"-?[0-9]{1,20}", text) else None
    require(
        number is not None and low <= number <= high,
        f"{name} must be a whole number from {low} to {high}, got {_short(text)}",
    )
    return int(text)


def _guidance(text: str | None, offer: Offer) -> float:
    if text is None:
        return 1.0 if offer.guidance is None else offer.guidance
    try:
        scale = float(text)
    except ValueError:
        scale = np.nan
    require(
        abs(scale) <= MOST_GUIDANCE,
        f"guidance must be a number from {-MOST_GUIDANCE:g} to {MOST_GUIDANCE:g}, got "
        f"{_short(text)}",
    )
    require(
        offer.guidance is not None or scale == 1,
        "guidance needs a model trained with labels and diffusion.label_dropout > 0",
    )
    return scale


def _solver(text: str | None, offer: Offer) -> str:
    """One that is offered, also with other fields: ddim(eta=0.5)."""
    if text is None or text in offer.solvers:
        return text or offer.solvers[0]
    name, known = text.partition("(")[0], [s.partition("(")[0] for s in offer.solvers]
    require(
        name in known and len(text) <= MOST_LETTERS,
        f"solver {_short(text)} does not suit this run{choices.hint(name, known)}",
    )
    return text


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")
