"""A sweep: every combination as by itself, in one program."""

import jax
import numpy as np
import pytest

from jaxdiff import build
from jaxdiff.plots import pictures
from jaxdiff.runs.sample import run as sample
from jaxdiff.runs.sample import sweep
from jaxdiff.runs.sampler import make_sampler
from tests.runs.conftest import IMAGES, tiny_config, untrained

SAMPLER = {
    "model__name": "speck",
    "sampler__solver": "ddim(eta=0.5)",
    "sampler__grid": "karras",
}
ASKED = {"guidance": [0.0, 1.0, 3.0], "eta": [0.0, 1.0]}


@pytest.fixture(scope="module")
def made():
    config = tiny_config(**IMAGES, **SAMPLER, diffusion__label_dropout=0.2)
    source = build.make_source(config)
    task = build.make_task(config, source)
    # a fresh network says 0 whatever it is asked
    params = jax.tree.map(lambda a: a + 0.05, jax.jit(task.init)(jax.random.key(0)))
    return config, source, task, params


def test_every_combination_is_what_it_is_by_itself(made):
    config, source, task, params = made
    swept = sweep.make_sweep(config, source, task, ASKED)
    index, labels = np.arange(3), np.arange(3, dtype="i4")
    x = swept.draw(params, 7, index, labels)
    assert x.shape == (6, 3, 8, 8, 1)
    assert swept.titles()[:3] == [
        "guidance 0, eta 0",
        "guidance 0, eta 1",
        "guidance 1, eta 0",
    ]
    for one, (scale, eta) in zip(x, swept.values, strict=True):
        alone = config.copy_and_resolve_references()
        alone.sampler.guidance, alone.sampler.solver = scale, f"ddim(eta={eta})"
        own = make_sampler(alone, source, task).draw(params, 7, index, labels)
        np.testing.assert_allclose(one, own, atol=1e-4)
    assert len({row.tobytes() for row in x}) == 6


def test_a_sweep_compiles_once_whatever_its_values(made, compilations):
    config, source, task, params = made

    def compiled(guidance, eta, seed):
        asked = {"guidance": guidance, "eta": eta}
        swept = sweep.make_sweep(config, source, task, asked)
        compilations.names.clear()  # of the grid, for one
        swept.draw(params, seed, np.arange(5), np.zeros(5, "i4"))
        return [*compilations.names]

    assert compiled([1.0, 4.0], [0.0, 1.0], 0)  # it does count
    assert compiled([0.0, 3.0], [0.3, 0.7], 1) == []


def test_what_differs_alone_is_stacked():
    shared = np.zeros(3)
    tree, varied = sweep.stack([(shared, 1.0, 2.0), (shared, 1.0, 5.0)])
    assert tree[0] is shared and tree[1] == 1.0 and varied == (2,)
    np.testing.assert_array_equal(tree[2], [2.0, 5.0])


def test_fields_of_the_grid_and_the_rule_can_be_swept(made):
    config, source, task, params = made
    assert sweep.swept_fields(config)["rho"] == "grid"
    swept = sweep.make_sweep(config, source, task, {"rho": [2.0, 7.0]})
    x = swept.draw(params, 0, np.arange(2), np.zeros(2, "i4"))
    assert (x[0] != x[1]).any()


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["guidence=1,2"], "did you mean 'guidance'"),
        (["num_steps=5,10"], "no 'num_steps' to sweep"),
        (["guidance=1,high"], "want numbers"),
        (["guidance=1", "guidance=2"], "given twice"),
        (["classifier_scale=1,2"], "no 'classifier_scale'"),
        (["eta=0,2"], "eta must be in"),
    ],
)
def test_what_cannot_be_swept_is_said(made, asked, says):
    config, source, task, _ = made
    with pytest.raises(ValueError, match=says):
        sweep.make_sweep(config, source, task, sweep.parse(config, asked))


def test_guidance_of_a_model_without_labels_is_said(made):
    config = made[0].copy_and_resolve_references()
    config.diffusion.condition = "none"
    task = build.make_task(config, made[1])
    with pytest.raises(ValueError, match="label_dropout"):
        sweep.make_sweep(config, made[1], task, {"guidance": [1.0, 2.0]})


def test_the_sheet_shows_every_combination(tmp_path, monkeypatch):
    config = tiny_config(**IMAGES, **SAMPLER, diffusion__label_dropout=0.2)
    untrained(config, tmp_path / "run")
    drawn = {}
    monkeypatch.setattr(
        pictures, "save_rows", lambda path, rows, **_: drawn.update(rows)
    )
    asked = {"num": 3, "seed": 0, "label": None, "png": False, "force": False}
    out = tmp_path / "out"
    text = ["guidance=1,2", "eta=0,1"]
    request = sample.prepare(tmp_path / "run", config, out=out, sweep=text, **asked)
    x = sample.run(request)
    saved = np.load(out / "samples.npz")
    np.testing.assert_array_equal(saved["guidance"], [1, 1, 2, 2])
    np.testing.assert_array_equal(saved["eta"], [0, 1, 0, 1])
    for i, pixels in enumerate(drawn.values()):
        values = request.trained.source.decode(x[i])
        np.testing.assert_array_equal(saved["values"][i], values)
        np.testing.assert_array_equal(pixels, pictures.to_uint8(values, 255.0))
    with pytest.raises(ValueError, match="--png"):
        sample.prepare(
            tmp_path / "run",
            config,
            out=out / "a",
            sweep=text,
            **{**asked, "png": True},
        )
