"""The grid of a run: what is refused, and that its options give the error printed."""

import numpy as np
import pytest

from jaxdiff import build
from jaxdiff.diffusion import fitted_grid
from jaxdiff.runs.fit_grid import run as fit_grid
from tests.runs.conftest import tiny_config, untrained


def test_a_run_gives_options_that_sample(tmp_path):
    config = tiny_config()
    run = untrained(config, tmp_path / "run")
    given = {"num": 4, "seed": 0, "force": False}
    request = fit_grid.prepare(run, out=tmp_path / "out", steps=[2], **given)
    rows = fit_grid.run(request)
    errors = {row["grid"]: row["error"] for row in rows}
    assert "fitted" in errors and "uniform" in errors
    (line,) = (tmp_path / "out" / "grids.txt").read_text().splitlines()
    spec = line.split("--config.sampler.grid=")[1].strip('"')
    config.sampler.grid, config.sampler.num_steps = spec, 2
    # the options name the grid whose error was printed, on paths not fitted to
    new = fit_grid.make_paths(request, 4 + np.arange(4))
    grid = build.make_grid(config, build.make_schedule(config))
    error = fitted_grid.error(request.system, grid, new)
    assert error == pytest.approx(errors["fitted"], rel=1e-3)
    assert (tmp_path / "out" / "grids.png").exists()
    for wrong, message in (
        ({"steps": [0]}, "--steps"),
        ({"steps": []}, "--steps"),
        ({"num": 0}, "--num"),
        ({}, "not empty"),
    ):
        fields = {"steps": [2], **given, **wrong}
        with pytest.raises((ValueError, OSError), match=message):
            fit_grid.prepare(run, out=tmp_path / "out", **fields)


@pytest.mark.parametrize("fields", [{"grid": "karras"}, {"num_steps": 7}])
def test_fields_that_are_fitted_are_refused(tmp_path, fields):
    run = untrained(tiny_config(), tmp_path / "run").with_sampler(**fields)
    given = {"out": tmp_path / "out", "steps": [2], "num": 4, "seed": 0, "force": False}
    with pytest.raises(ValueError, match="does not count: --steps are fitted"):
        fit_grid.prepare(run, **given)


def test_a_solver_that_draws_noise_is_refused(tmp_path):
    config = tiny_config(sampler__solver="ddpm")
    run = untrained(config, tmp_path / "run")
    given = {"out": tmp_path / "out", "steps": [2], "num": 4, "seed": 0, "force": False}
    with pytest.raises(ValueError, match="'ddpm' draws noise"):
        fit_grid.prepare(run, **given)
