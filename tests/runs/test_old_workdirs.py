"""Law 9: the workdirs of tests/workdirs, which older code wrote, stay good for ever.

They are sampled, evaluated and resumed by today's code. What they gave then is beside
them (samples.npz, in model units); it comes back to 1e-5 of its largest value, not bit
for bit: another number of devices and other compiler flags round otherwise.
"""

import json
import shutil
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff import fields, schema
from jaxdiff.diffusion import guidance
from jaxdiff.diffusion.denoisers import clip
from jaxdiff.runs import first_stage, sampler, workdir
from jaxdiff.runs.evaluate import run as evaluate
from jaxdiff.runs.experiment import Experiment, open_run
from jaxdiff.runs.sample import run as sample
from jaxdiff.runs.train import loop, setup
from jaxdiff.train import checkpoint, ema
from tests.slow import slow_but

OLD = Path(__file__).parents[1] / "workdirs"
NAMES = sorted(path.parent.name for path in OLD.glob("*/config.json"))
DRAWING = [
    name
    for name in NAMES
    if json.loads((OLD / name / "config.json").read_text())["task"] == "diffusion"
]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, one_device):
    """Copies, in the folder that their configs name one another from."""
    for name in NAMES:
        shutil.copytree(OLD / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)


def assert_near(values, name, key):
    with np.load(OLD / name / "samples.npz") as file:
        old = file[key]
    assert values.shape == old.shape
    np.testing.assert_allclose(values, old, rtol=0, atol=1e-5 * abs(old).max())
    assert np.std(old) > 0  # not nothing


def test_there_is_one_of_each_kind():
    stored = [workdir.load_config(OLD / name) for name in NAMES]
    assert {c.task for c in stored} == {"diffusion", "classifier", "autoencoder"}
    networks = {"unet", "residual_unet", "basic_unet", "mlp"}
    assert {c.model.name for c in stored} >= networks | {"classifier", "autoencoder"}
    kinds = {c.autoencoder.kl_weight > 0 for c in stored if c.task == "autoencoder"}
    assert kinds == {True, False}
    assert any(c.data.name == "latents" for c in stored)
    assert any(c.diffusion.low_size and c.sampler.base for c in stored)
    assert any(c.sampler.classifier and c.train.features for c in stored)
    assert any(c.train.ema_widths and c.sampler.ema for c in stored)
    files = [path for path in OLD.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2.2e6


def weights_of_then(times, gammas, time, gamma):
    """Of a reconstructed average: they did not sum to 1 when `wide` was written."""
    inner = ema._inner(times[:, None], gammas[:, None], times[None], gammas[None])
    target = ema._inner(times, gammas, np.float64(time), np.float64(gamma))
    return np.linalg.lstsq(inner, target, rcond=None)[0]


def order_of_then(bounds, monkeypatch):
    """x0 was clipped after classifier guidance, and is clipped before it."""
    guide = guidance.classifier

    def guided(denoise, *args):
        return clip(guide(denoise, *args), *bounds)

    monkeypatch.setattr(sampler, "clip", lambda denoise, *bounds: denoise)
    monkeypatch.setattr(guidance, "classifier", guided)


@pytest.mark.parametrize("name", slow_but(("mlp", "wide", "upsampler"), DRAWING))
def test_it_is_sampled(name, tmp_path, monkeypatch):
    run = open_run(Path(name))
    if run.config.sampler.ema:
        monkeypatch.setattr(ema, "reconstruct", weights_of_then)
        run = open_run(Path(name))
    if run.config.sampler.classifier:
        order_of_then(run.source.bounds, monkeypatch)
    request = sample.prepare(run, out=tmp_path / "out", num=4)
    assert_near(sample.run(request), name, "x")
    assert (tmp_path / "out" / "samples.npz").exists()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in DRAWING])
def test_its_network_gives_what_it_gave(name):
    run = open_run(Path(name))
    model, x = run.model, jnp.asarray(run.source[np.arange(4)]["x"])
    if run.task.kind == "classifier":
        assert_near(np.asarray(model.logits(x, jnp.float32(0.3))), name, "logits")
    else:
        mean, _ = model.encode(x)
        assert_near(np.asarray(mean), name, "codes")
        assert_near(np.asarray(model.decode(mean)), name, "decoded")


# A table, and images by features; each of them is sampled above as well.
@pytest.mark.parametrize("name", slow_but(("mlp",), DRAWING))
def test_it_is_evaluated(name, tmp_path):
    """By the cheapest metric: images of its shape by features of the classifier."""
    run = open_run(Path(name))
    seen = run.images.shape == (8, 8, 1)
    metric = "frechet" if seen else "bpd" if run.images.is_image else "columns"
    request = evaluate.prepare(
        run,
        metrics=[metric],
        features=Path("classifier") if seen else None,
        images=None,
        num=8,
        num_real=0,
        seed=0,
        out=tmp_path / "out",
        force=False,
        num_bpd=2,
        estimates=["continuous"],
        steps=2,
        cleanest=0.01,
    )
    rows = evaluate.run(request, "python -m launch.evaluate ...")
    assert rows and all(np.isfinite(row["value"]) for row in rows)


@pytest.mark.parametrize("name", slow_but(("mlp", "wide", "classifier"), NAMES))
def test_its_whole_state_is_read(name):
    """All that a resumed run starts from: parameters, averages and optimiser."""
    run = setup.prepare(workdir.load_config(Path(name)), Path(name))
    like, folder = jax.eval_shape(run.init), Path(name) / workdir.CHECKPOINTS
    with checkpoint.open_manager(folder, keep_last=None) as manager:
        state = checkpoint.restore(manager, like)
    assert state is not None and int(state.step) == 4
    chex.assert_trees_all_equal_shapes_and_dtypes(state, like)
    chex.assert_tree_all_finite(state)


# The others differ in the network whose step they compile.
@pytest.mark.parametrize("name", slow_but(("mlp", "wide"), NAMES))
def test_it_is_resumed(name):
    config = workdir.load_config(Path(name))
    config.train.num_steps = 6
    assert int(loop.run(setup.prepare(config, Path(name))).step) == 6
    rows = workdir.read_metrics(Path(name))
    assert [row["step"] for row in rows] == [2, 4, 6]
    assert all(np.isfinite(row["loss"]) for row in rows)
    again = workdir.load_config(Path(name))
    assert again.train.num_steps == 6
    assert again.data.checksum == config.data.checksum


def like_new(config):
    """As a config of today has it: nothing measured, nothing that is not taken."""
    config = config.copy_and_resolve_references()
    config.data.update({"checksum": "", "mean": (), "std": ()})
    fields.settle(config)
    return config


def kept_codes():
    return sorted(path.name for path in Path("variational/latents").iterdir())


def test_codes_of_the_first_formula_stay_good():
    """They are found again, also after a command that trained the encoder no further;
    another encoder is noticed; and a new run has today's checksum.
    """
    config = workdir.load_config(Path("latents"))
    old = config.data.checksum
    assert len(old) == 16 and kept_codes() == [old]
    same = workdir.load_config(Path("variational"))
    loop.run(setup.prepare(same, Path("variational")))
    open_run(Path("latents"), config)
    assert kept_codes() == [old]
    run = setup.prepare(like_new(config), Path("new"))
    assert run.experiment.config.data.checksum.startswith(first_stage.VERSION)
    np.testing.assert_allclose(
        run.experiment.config.data.mean, config.data.mean, rtol=1e-5
    )
    assert kept_codes() == sorted([old, run.experiment.config.data.checksum])
    more = workdir.load_config(Path("variational"))
    more.train.num_steps = 6
    loop.run(setup.prepare(more, Path("variational")))
    for stale in (config, run.experiment.config):
        with pytest.raises(ValueError, match=r"data\.checksum=.*, but the encoder in"):
            _ = Experiment(stale, Path("latents")).source


@pytest.mark.parametrize(
    "block", slow_but(("data", "train"), ("data", "model", "train", "sampler"))
)
def test_a_new_field_breaks_nothing(block, monkeypatch, tmp_path):
    # with today's checksum
    latents = workdir.load_config(Path("latents"))
    run = setup.prepare(like_new(latents), Path("new"))
    workdir.save_config(Path("new"), run.experiment.config)
    monkeypatch.setitem(schema.FIELDS[block], "flavour", "plain")
    for name in (*NAMES, "new"):
        config = workdir.load_config(Path(name))
        assert config[block].flavour == "plain"
        workdir.check_same(Path(name), config)
    for name in ("latents", "new"):
        setup.prepare(workdir.load_config(Path(name)), Path(name))
    if block == "train":  # with another value of the field a run is another
        config = workdir.load_config(Path("unet"))
        config.train.flavour = "sweet"
        with pytest.raises(ValueError, match=r"train\.flavour='sweet'"):
            workdir.check_same(Path("unet"), config)
