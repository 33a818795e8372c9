"""A sweep: every combination as by itself, in one program."""

import numpy as np
import pytest

from jaxdiff.plots import pictures
from jaxdiff.runs.experiment import Experiment
from jaxdiff.runs.sample import run as sample
from jaxdiff.runs.sample import sweep
from tests.runs.conftest import IMAGES, tiny_config, untrained

SAMPLER = {
    "model__name": "speck",
    "sampler__solver": "ddim(eta=0.5)",
    "sampler__grid": "karras",
}
VALUES = {"guidance": [0.0, 1.0, 3.0], "eta": [0.0, 1.0]}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = tiny_config(**IMAGES, **SAMPLER, diffusion__label_dropout=0.2)
    return untrained(config, tmp_path_factory.mktemp("sweep") / "run")


def test_every_combination_is_what_it_is_by_itself(run):
    swept = sweep.make_sweep(run, VALUES)
    index, labels = np.arange(3), np.arange(3, dtype="i4")
    x = swept.draw(7, index, labels)
    assert x.shape == (6, 3, 8, 8, 1)
    assert swept.titles()[:3] == [
        "guidance 0, eta 0",
        "guidance 0, eta 1",
        "guidance 1, eta 0",
    ]
    for one, (scale, eta) in zip(x, swept.values, strict=True):
        alone = run.with_sampler(guidance=scale, solver=f"ddim(eta={eta})")
        expected = alone.sampler().draw(run.params, 7, index, labels)
        np.testing.assert_allclose(one, expected, atol=1e-4)
    assert len({row.tobytes() for row in x}) == 6


def test_a_sweep_compiles_once_whatever_its_values(run, tmp_path, compilations):
    def compiled(run, guidance, eta, seed):
        swept = sweep.make_sweep(run, {"guidance": guidance, "eta": eta})
        compilations.names.clear()  # of the grid, for one
        swept.draw(seed, np.arange(5), np.zeros(5, "i4"))
        return [*compilations.names]

    assert compiled(run, [1.0, 4.0], [0.0, 1.0], 0)  # it does count
    assert compiled(run, [0.0, 3.0], [0.3, 0.7], 1) == []
    config = run.config.copy_and_resolve_references()
    config.seed = run.config.seed + 1
    other = untrained(config, tmp_path / "run")
    assert compiled(other, [1.0, 4.0], [0.0, 1.0], 0) == []


def test_what_differs_alone_is_stacked():
    shared = np.zeros(3)
    tree, varied = sweep.stack([(shared, 1.0, 2.0), (shared, 1.0, 5.0)])
    assert tree[0] is shared and tree[1] == 1.0 and varied == (2,)
    np.testing.assert_array_equal(tree[2], [2.0, 5.0])


def test_fields_of_the_grid_and_the_rule_can_be_swept(run):
    assert sweep.swept_fields(run.config)["rho"] == "grid"
    swept = sweep.make_sweep(run, {"rho": [2.0, 7.0]})
    x = swept.draw(0, np.arange(2), np.zeros(2, "i4"))
    assert (x[0] != x[1]).any()


def test_numbers_of_one_choice_are_set_together(run):
    fields = sweep.sampler_fields(
        run.with_sampler(grid="karras", solver="ddim").config,
        {"rho": 3.0, "eta": 0.5, "guidance": 2.0},
    )
    assert fields == {
        "grid": "karras(rho=3.0)",
        "solver": "ddim(eta=0.5)",
        "guidance": 2.0,
    }
    two = sweep.sampler_fields(
        run.with_sampler(solver="euler(churn=1.0)").config,
        {"churn": 2.0, "churn_noise": 1.01},
    )
    assert two == {"solver": "euler(churn=2.0, churn_noise=1.01)"}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["guidence=1,2"], "did you mean 'guidance'"),
        (["num_steps=5,10"], "no 'num_steps' to sweep"),
        (["guidance=1,high"], "expected numbers"),
        (["guidance=1", "guidance=2"], "given twice"),
        (["classifier_scale=1,2"], "no 'classifier_scale'"),
        (["eta=0,2"], "eta must be in"),
    ],
)
def test_what_cannot_be_swept_is_refused(run, texts, message):
    with pytest.raises(ValueError, match=message):
        sweep.make_sweep(run, sweep.parse(run.config, texts))


def test_guidance_of_a_model_without_labels_is_refused(run):
    config = run.config.copy_and_resolve_references()
    config.diffusion.condition = "none"
    other = Experiment(config, data=run.source)
    with pytest.raises(ValueError, match="label_dropout"):
        sweep.make_sweep(other, {"guidance": [1.0, 2.0]})


def test_the_sheet_shows_every_combination(run, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        pictures, "save_rows", lambda path, rows, **_: drawn.update(rows)
    )
    out, sweeps = tmp_path / "out", ["guidance=1,2", "eta=0,1"]
    x = sample.run(sample.prepare(run, out=out, num=3, sweeps=sweeps))
    saved = np.load(out / "samples.npz")
    np.testing.assert_array_equal(saved["guidance"], [1, 1, 2, 2])
    np.testing.assert_array_equal(saved["eta"], [0, 1, 0, 1])
    for i, pixels in enumerate(drawn.values()):
        values = run.source.decode(x[i])
        np.testing.assert_array_equal(saved["values"][i], values)
        np.testing.assert_array_equal(pixels, pictures.to_uint8(values, 255.0))
    with pytest.raises(ValueError, match="--png"):
        sample.prepare(run, out=out / "a", num=3, sweeps=sweeps, png=True)
