"""Every config: plain data, documented, builds in full, and trains two steps small."""

import ast
import importlib
import json
import re
from pathlib import Path

import chex
import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import base
from jaxdiff import build
from jaxdiff.data.batches import batches
from jaxdiff.diffusion import conditions, sampling, upsampling
from jaxdiff.runs import workdir
from jaxdiff.runs.experiment import Experiment, open_run
from jaxdiff.runs.sample import run as sample
from jaxdiff.runs.train import loop, setup
from jaxdiff.schema import flat
from jaxdiff.train.state import init_state, num_params
from jaxdiff.train.step import make_train_step
from tests.slow import slow_but

FOLDER = Path(base.__file__).parent
NAMES = sorted(
    p.stem for p in FOLDER.glob("*.py") if p.stem not in ("base", "__init__")
)


def load(name: str, variant: str = "") -> ConfigDict:
    return importlib.import_module(f"configs.{name}").get_config(variant)


@pytest.mark.parametrize("variant", ["", "smoke", "synthetic"])
@pytest.mark.parametrize("name", NAMES)
def test_a_config_is_pure_data(name, variant, tmp_path):
    config = load(name, variant)
    default = flat(base.get_config())
    for path, value in flat(config).items():
        assert path in default
        parts = value if isinstance(value, tuple) else (value,)
        assert all(isinstance(v, int | float | str | bool) for v in parts), path
        assert isinstance(value, type(default[path])), path
    workdir.save_config(tmp_path, config)
    assert workdir.load_config(tmp_path).to_dict() == config.to_dict()
    json.loads((tmp_path / "config.json").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_docstring_gives_command_and_cost(name):
    text = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text())) or ""
    assert f"--config=configs/{name}.py" in text
    assert any(word in text for word in ("minute", "second", "hour", "steps"))


@pytest.mark.parametrize("name", NAMES)
def test_the_fields_in_a_docstring_can_be_set(name):
    text = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text())) or ""
    config, default = load(name), flat(base.get_config())
    for field, quoted, bare in re.findall(
        r"--config\.([\w.]+)=(?:'([^']*)'|([^\s);:,]*[^\s).;:,]))", text
    ):
        assert field in default
        value = quoted or bare
        if not isinstance(default[field], str):
            value = ast.literal_eval(value)
        config.update_from_flattened_dict({field: value})
    build.make_solver(config, build.make_schedule(config))
    build.make_grid(config, build.make_schedule(config))


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_variant_names_the_known(name):
    with pytest.raises(ValueError, match="there is 'smoke', and 'synthetic'"):
        load(name, "smok")


@pytest.mark.parametrize("name", NAMES)
def test_made_up_data_have_the_shape_of_the_real_ones(name):
    """In full size, where only config.data differs."""
    real, made_up = load(name), load(name, "synthetic")
    assert made_up.data.name == "synthetic"
    real_fields, fields = flat(real), flat(made_up)
    other = {k for k in fields if fields[k] != real_fields[k]}
    assert all(k.startswith("data.") for k in other)
    if real.data.size:
        assert made_up.data.shape[:2] == (real.data.size,) * 2
    if real.data.name in ("digits", "iris"):
        a, b = build.make_source(real), build.make_source(made_up)
        assert (a.shape, a.num_classes) == (b.shape, b.num_classes)


def draws(run, params):
    """By the config's own sampler, guided; an upsampler is given its small images."""
    config, source = run.config, run.source
    x = jax.ShapeDtypeStruct((2, *source.shape), np.float32)
    labels = build.num_labels(config, source)
    cond = jax.ShapeDtypeStruct((2,), np.int32) if labels else None
    if run.is_upsampler:
        extra = upsampling.extra_channels(source.shape, config.diffusion.augment)
        image = jax.ShapeDtypeStruct((2, *source.shape[:2], extra), np.float32)
        cond = conditions.Beside(cond, image)
    seeds = jax.random.split(jax.random.key(0), 2)
    sampler = run.sampler(with_base=False)

    def draw(params, x, cond):
        shared = sampler.shared(params)
        return sampling.sample(seeds, *shared[:3], x, cond)

    assert jax.eval_shape(draw, params, x, cond).shape == x.shape
    grid = np.asarray(build.make_grid(config, run.schedule))
    assert len(grid) == config.sampler.num_steps + 1 and (np.diff(grid) < 0).all()


def codes(run, params):
    x = jax.ShapeDtypeStruct((2, *run.source.shape), np.float32)
    model = run.task.model
    mean, log_var = jax.eval_shape(lambda p, x: model(p).encode(x), params, x)
    assert (log_var is not None) == (run.config.autoencoder.kl_weight > 0)
    assert len(mean) == 2 and mean.size < x.size
    again = jax.eval_shape(lambda p, z: model(p).decode(z), params, mean)
    assert again.shape == x.shape


def classifies(run, params):
    x = jax.ShapeDtypeStruct((2, *run.source.shape), np.float32)
    t = jax.ShapeDtypeStruct((), np.float32)
    model = run.task.model
    out = jax.eval_shape(lambda p, x, t: model(p).logits(x, t), params, x, t)
    assert out.shape == (2, run.source.num_classes)


# By what a task is for: a check of shapes that its model does that.
RUNS_ON = {"denoiser": draws, "classifier": classifies, "autoencoder": codes}


# FACTS.md, from each published constructor
PUBLISHED = {
    "cifar10_ddpm": 35_746_307,
    "cifar10_iddpm": 52_546_438,
    "cifar10_edm": 55_735_299 - 9 * 128,  # of the augmentation's label
    "imagenet64_adm": 295_904_454,
    "imagenet256_adm": 553_838_086,
    "imagenet64_adm_classifier": 65_438_568,
    "imagenet256_adm_classifier": 54_096_360,
    "imagenet64_to_256_adm": 311_795_910,
    "mnist_linear": 309_057,
}


@pytest.mark.parametrize("name", slow_but((*PUBLISHED, "digits"), NAMES))
def test_the_full_size_builds(name):
    """Shapes alone. Data that are not here are made up in their shape."""
    here = load(name).data.name in ("digits", "iris")
    run = Experiment(load(name, "" if here else "synthetic"))
    params = jax.eval_shape(run.task.init, jax.random.key(0))
    if name in PUBLISHED:
        assert num_params(params) == PUBLISHED[name]
    RUNS_ON[run.task.kind](run, params)
    tx, lr = build.make_optimizer(run.config)
    jax.eval_shape(tx.init, params)
    assert 0 <= float(lr(0)) <= 1
    build.make_ema(run.config)


# One of each task, of each network and of each kind of loss.
STEPPED = (
    *(
        "cifar10_edm",
        "cifar10_iddpm",
        "fashion_cascade",
        "fashion_classifier",
        "fashion_ddim",
    ),
    *("iris", "mnist_linear", "mnist_vae"),
)


@pytest.mark.parametrize("name", slow_but(STEPPED, NAMES))
def test_the_smoke_takes_a_step_in_shapes(name):
    """Traced, and not compiled."""
    run = Experiment(load(name, "smoke"))
    task, t = run.task, run.config.train
    tx, _ = build.make_optimizer(run.config)
    ema, averages = build.make_ema(run.config), len(t.ema_widths)
    step = make_train_step(task.loss, tx, ema, axis=None, accumulate=t.accumulate)
    like = jax.eval_shape(
        lambda key: init_state(task.init(key), tx, powers=averages), jax.random.key(0)
    )
    how = {"batch_size": t.batch_size, "seed": 0, "flip": run.config.data.flip}
    (batch,) = batches(run.source, start=0, stop=1, **how)
    after, metrics = jax.eval_shape(step, like, batch, jax.random.key(0), task.frozen)
    chex.assert_trees_all_equal_shapes_and_dtypes(after, like)
    assert {"loss", "grad_norm"} < {*metrics}


# The others compile the same code for other tasks, networks and data, whose shapes are
# traced above and which tests/models, tests/data and tests/runs run.
TRAINED = ("digits",)


@pytest.fixture
def devices(name, request):
    """All for one; what differs between configs is on every device."""
    if name not in TRAINED:
        request.getfixturevalue("one_device")


@pytest.mark.parametrize("name", slow_but(TRAINED, NAMES))
def test_smoke_trains_two_steps_and_samples(name, tmp_path, devices):
    config, folder, out = load(name, "smoke"), tmp_path / "run", tmp_path / "out"
    state = loop.run(setup.prepare(config, folder))
    assert int(state.step) == 2
    rows = workdir.read_metrics(folder)
    assert [row["step"] for row in rows] == [1, 2]
    chex.assert_tree_all_finite((state, rows))
    assert (folder / "samples" / "00000002.png").stat().st_size > 100
    if config.task != "diffusion" or config.diffusion.low_size:
        return  # draws no samples, or of a base alone: tests/runs/test_cascade_run.py
    request = {"num": 4, "seed": 0, "label": None, "png": False, "force": False}
    x = sample.run(sample.prepare(open_run(folder, config), out=out, **request))
    assert len(x) == 4 and np.isfinite(x).all()
    assert (out / "samples.npz").exists()


KEPT = sorted((FOLDER / "results").glob("*.json"))


@pytest.mark.parametrize("path", KEPT, ids=[p.stem for p in KEPT])
def test_what_a_config_gave_is_of_that_config_and_shown(path):
    record = json.loads(path.read_text())
    assert record["config"] == path.stem and path.stem in NAMES
    assert f"--config=configs/{path.stem}.py" in record["command"]
    assert record["step"] == record["last"]["step"]
    picture = path.with_suffix(".png")
    assert picture.stat().st_size < 200_000
    assert f"({picture.name})" in (path.parent / "README.md").read_text()
