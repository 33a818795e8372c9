"""Every member of every family, listed from its home, so a new one is tested at once.

A test that takes `pair` runs for each schedule and scaling (`schedule` is then the two
made), one that takes `prediction_name` for each prediction, and so on. `inner_solver`
is for a test of what is done to a solver, not of the solver.
"""

import pkgutil
from decimal import Decimal

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.diffusion import grids, predictions, scalings, schedules, solvers, times
from jaxdiff.diffusion import weights as weighting
from tests.slow import slow_but

SOLVERS = sorted(m.name for m in pkgutil.iter_modules(solvers.__path__))
# With one call a step and with two, with and without memory and noise, and composed.
SOLVERS_OF_EACH_KIND = ("ddim", "ddpm", "dpmpp_2m", "dpmpp_2m_sde", "heun", "restart")

HOMES = {
    "inner_solver": slow_but(SOLVERS_OF_EACH_KIND, SOLVERS),
    # all but the one that is of a single number of steps
    "grid_name": [name for name in grids.__all__ if name != "written"],
    "prediction_name": predictions.__all__,
    "schedule_name": schedules.__all__,
    "solver_name": SOLVERS,
    "times_name": times.__all__,
    "weight_name": weighting.__all__,
}


def ends_in_pure_noise(name):
    return float(getattr(schedules, name)().alpha(jnp.ones(()))) == 0


def pairs():
    """All schedules x scalings, but 've' of what has alpha(1) = 0: an error."""
    for name in schedules.__all__:
        for scaling in scalings.__all__:
            if scaling != "ve" or not ends_in_pure_noise(name):
                yield name, scaling


def few_pairs():
    """Every schedule, every scaling, and both of the kinds of end in every scaling."""
    for name, scaling in pairs():
        if scaling == "unscaled" or name in ("cosine", "edm"):
            yield name, scaling


def pytest_generate_tests(metafunc):
    for argument, members in HOMES.items():
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, members)
    if "pair" in metafunc.fixturenames:
        metafunc.parametrize("pair", slow_but(few_pairs(), pairs()), ids="-".join)


@pytest.fixture
def schedule(pair):
    name, scaling = pair
    return getattr(scalings, scaling)(getattr(schedules, name)())


@pytest.fixture
def assert_listed():
    """got == a figure of FACTS.md, to half a unit of the last digit that it prints."""

    def check(got, *figures):
        got = np.atleast_1d(np.asarray(got, np.float64))
        assert len(got) == len(figures)
        for value, figure in zip(got, figures, strict=True):
            unit = 10.0 ** Decimal(figure).as_tuple().exponent
            error = abs(value - float(figure))
            assert error <= 0.5001 * unit, f"{value!r} is not {figure}"

    return check
