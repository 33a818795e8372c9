"""Folders of diffusers as runs, and runs as folders of diffusers."""

import json
import shutil

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jaxdiff import schema
from jaxdiff.data import latents
from jaxdiff.interop import diffusers
from jaxdiff.interop.diffusers_json import CODER, UNET, coder_fields, unet_fields
from jaxdiff.interop.diffusers_schedules import (
    SCHEDULERS,
    alpha_bar,
    scheduler_config,
    scheduler_fields,
)
from jaxdiff.interop.diffusers_write import scaled, write
from jaxdiff.interop.trained import Trained
from jaxdiff.models import autoencoder
from jaxdiff.runs.convert.export import export
from jaxdiff.runs.convert.run import convert
from jaxdiff.runs.experiment import open_run
from tests.interop.test_diffusers import CONFIGS, PEER, seeded_network

WEIGHTS = "diffusion_pytorch_model.safetensors"


def save(folder, name, config=None, tensors=None):
    """A network's folder with the weights of the fixture."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config or CONFIGS[name]))
    stored = seeded_network(name)[2] if tensors is None else tensors
    stored = {k: np.ascontiguousarray(a) for k, a in stored.items()}
    save_file(stored, folder / WEIGHTS)


def index(folder, kind, **parts):
    (folder / "scheduler").mkdir()
    (folder / "scheduler/scheduler_config.json").write_text(str(PEER["ddim/scheduler"]))
    parts |= {"scheduler": ["diffusers", "DDIMScheduler"], "_class_name": kind}
    (folder / "model_index.json").write_text(json.dumps(parts))


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("diffusers") / "pipeline"
    save(folder / "unet", "heads")
    index(folder, "DDIMPipeline", unet=["diffusers", "UNet2DModel"])
    return folder


@pytest.fixture(scope="module")
def run(pipeline):
    workdir = pipeline.with_name("run")
    convert(pipeline, workdir)
    return open_run(workdir)


def test_a_pipeline_samples_as_diffusers_does(run):
    """Ten steps of DDIMPipeline itself, of the same noise."""
    assert run.config.sampler.num_steps == 50 and run.config.sampler.clip
    other = run.with_sampler(num_steps=10)
    draw, noise = other.sampler().draw, PEER["ddim/noise"]
    x = draw(run.params, 0, np.arange(len(noise)), None, x_T=noise)
    ours, theirs = (255 * a for a in (np.clip(x / 2 + 0.5, 0, 1), PEER["ddim/images"]))
    chex.assert_trees_all_close(ours, theirs, atol=0.01)


def test_a_run_is_written_as_the_folder_that_it_came_from(pipeline, run, tmp_path):
    export(run, tmp_path / "out", "diffusers(licence='mit')")
    ours, theirs = (
        load_file(folder / "unet" / WEIGHTS) for folder in (tmp_path / "out", pipeline)
    )
    chex.assert_trees_all_equal(ours, theirs)
    card = (tmp_path / "out/README.md").read_text()
    assert card.startswith("---\nlicense: mit\n") and "DDIMPipeline" in card
    convert(tmp_path / "out", tmp_path / "back")
    back = open_run(tmp_path / "back")
    assert back.config == run.config
    chex.assert_trees_all_equal(back.params, run.params)


def test_all_files_may_be_in_one_folder(pipeline, tmp_path):
    """As in the first published pipelines, whose schedulers had other keys too."""
    for path in pipeline.glob("*/*"):
        shutil.copy(path, tmp_path)
    shutil.copy(pipeline / "model_index.json", tmp_path)
    scheduler = {"_class_name": "DDPMScheduler", "variance_type": "fixed_large"}
    scheduler |= {"predict_epsilon": True, "tensor_format": "pt"}
    (tmp_path / "scheduler_config.json").write_text(json.dumps(scheduler))
    foreign = diffusers.make(tmp_path, None)
    assert foreign.fields["diffusion.schedule"] == "linear_beta"
    assert foreign.fields["diffusion.prediction"] == "eps"
    assert foreign.assumed["sampler.solver"] == "ddpm(variance='large')"
    assert foreign.assumed["sampler.num_steps"] == 1000
    assert "conv_in.weight" in foreign.tensors()


def test_a_network_alone_does_not_determine_the_noise(pipeline):
    foreign = diffusers.make(pipeline / "unet", None)
    assert foreign.shape == (8, 8, 3) and foreign.classes == 0
    assert "diffusion.schedule" not in foreign.fields
    assert foreign.assumed["diffusion.schedule"] == "linear_beta"


def test_a_latent_pipeline_becomes_two_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(latents, "CHUNK", 1)
    folder, size = tmp_path / "ldm", CONFIGS["coder"]["sample_size"] // 2
    config = CONFIGS["heads"] | {"sample_size": size}
    coder = CONFIGS["coder"] | {"scaling_factor": 0.5}
    save(folder / "unet", "heads", config)
    save(folder / "vae", "coder", coder)
    index(folder, "LDMPipeline", unet=["diffusers", "UNet2DModel"])
    convert(folder, tmp_path / "run")
    run = open_run(tmp_path / "run")
    assert run.autoencoder.path == tmp_path / "run_autoencoder"
    assert run.source.moments == ((0.0,) * 3, (2.0,) * 3)
    z = np.random.default_rng(0).standard_normal((1, size, size, 3)).astype("f4")
    x = run.autoencoder.model.decode(jnp.asarray(z / 0.5))
    chex.assert_trees_all_close(
        run.source.decode(z), run.images.decode(np.asarray(x)), atol=1e-3
    )
    export(run, tmp_path / "out", "diffusers")
    for name in ("unet/config.json", "vqvae/config.json"):
        json.loads((tmp_path / "out" / name).read_text())
    assert diffusers.make(tmp_path / "out", None).fields["data.std"] == (2.0,) * 3


@pytest.mark.parametrize("latent_conv", [True, False])
def test_moments_of_codes_become_a_convolution(latent_conv):
    """decode'(z) = decode(std z + mean), and encode' gives standardised codes."""
    how = {"channels": 4, "multipliers": (1,), "latent_channels": 2}
    net = autoencoder.make(
        shape=(4, 4, 1), variational=True, latent_conv=latent_conv, **how
    )
    x = jax.random.normal(jax.random.key(0), (2, 4, 4, 1))
    params = net.init(jax.random.key(1), x)["params"]
    mean, std = np.array([0.0, 0.5]), np.array([1.5, 0.25])
    fields = {"data.standardise": True, "data.mean": mean, "data.std": std}
    stage = Trained({}, {}, (), 0, params, 0, {})
    scale, folded = scaled(stage._replace(fields=fields, stage=stage))
    other, z = net.clone(latent_conv=True), np.asarray(x).reshape(2, 4, 2, 2)
    assert scale == 1
    pairs = (other, folded, z), (net, params, np.float32(std * z + mean))
    ours, theirs = (
        n.apply({"params": p}, jnp.asarray(v), method="decode") for n, p, v in pairs
    )
    chex.assert_trees_all_close(ours, theirs, atol=1e-5)
    ours, (z, log_var) = (
        jax.tree.map(np.asarray, n.apply({"params": p}, x, method="encode"))
        for n, p, _ in pairs
    )
    expected = np.float32((z - mean) / std), np.float32(log_var - 2 * np.log(std))
    chex.assert_trees_all_close(ours, expected, atol=1e-5)


def test_equal_moments_are_the_scaling_factor():
    stage = Trained({}, {}, (), 0, {"a": np.ones(2)}, 0, {})
    fields = {"data.standardise": True, "data.mean": (0.0, 0.0), "data.std": (4.0, 4.0)}
    scale, params = scaled(stage._replace(fields=fields, stage=stage))
    assert scale == 0.25
    chex.assert_trees_all_equal(params, stage.params)


def betas_of(start, end, steps, power):
    """Betas whose powers are equally spaced, as diffusers defines its tables."""
    return np.linspace(start**power, end**power, steps) ** (1 / power)


@pytest.mark.parametrize(
    ("config", "betas"),
    [
        ({}, betas_of(1e-4, 0.02, 1000, 1)),
        ({"num_train_timesteps": 50}, betas_of(1e-4, 0.02, 50, 1)),
        (
            {
                "beta_schedule": "scaled_linear",
                "beta_start": 0.0015,
                "beta_end": 0.0195,
            },
            betas_of(0.0015, 0.0195, 1000, 0.5),
        ),
    ],
)
def test_tables_of_betas(config, betas):
    fields, _ = scheduler_fields({"_class_name": "DDIMScheduler", **config})
    table = alpha_bar(fields["diffusion.schedule"], len(betas))
    np.testing.assert_allclose(table, np.cumprod(1 - betas), rtol=1e-9)


def test_the_cosine_table():
    fields, _ = scheduler_fields(
        {"_class_name": "DDPMScheduler", "beta_schedule": "squaredcos_cap_v2"}
    )
    bar = np.cos((np.arange(1001) / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
    betas = np.minimum(1 - bar[1:] / bar[:-1], 0.999)
    table = alpha_bar(fields["diffusion.schedule"], 1000)
    np.testing.assert_allclose(table, np.cumprod(1 - betas), rtol=1e-9)


@pytest.mark.parametrize("spec", ["cosine", "linear_log_snr(end=-6.0)"])
def test_a_schedule_comes_back_from_its_betas(spec):
    fields = schema.flat(schema.get_config())
    stored = scheduler_config(fields, alpha_bar(spec, 1000), False, "0")
    back, sampler = scheduler_fields(stored, spec)
    assert back["diffusion.schedule"] == spec
    assert back["diffusion.prediction"] == "v" and not sampler["sampler.clip"]
    if spec != "cosine":
        with pytest.raises(ValueError, match="trained_betas"):
            scheduler_fields(stored)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("thresholding", True),
        ("rescale_betas_zero_snr", True),
        ("steps_offset", 1),
        ("set_alpha_to_one", False),
        ("beta_schedule", "sigmoid"),
        ("prediction_type", "flow_prediction"),
        ("clip_sample_range", 2.0),
    ],
)
def test_what_samplers_lack_is_listed(key, value):
    config = {"_class_name": "DDIMScheduler", **SCHEDULERS["DDIMScheduler"], key: value}
    with pytest.raises(ValueError, match=f"no counterpart of {key}={value!r}$"):
        scheduler_fields(config)


ODD = (None, 0, -1, 1.5, "x", True, [], [1], ["x"], {})


@pytest.mark.parametrize("read", [unet_fields, coder_fields, scheduler_fields])
def test_a_key_of_another_type_is_named(read):
    """Whatever JSON holds, it is read or refused in one line that names the key."""
    kind = {"_class_name": "DDIMScheduler"}
    defaults = {
        unet_fields: UNET | {"sample_size": 32},
        coder_fields: CODER,
        scheduler_fields: kind | SCHEDULERS["DDIMScheduler"],
    }[read]
    read(defaults)
    for key in defaults.keys() - kind:
        refused = 0
        for value in ODD:
            try:
                read({**defaults, key: value})
            except ValueError as error:
                assert key in str(error) and "\n" not in str(error)
                refused += 1
        # only the training's length of an older network means nothing
        assert refused or key == "num_train_timesteps", key


def test_what_diffusers_cannot_express_is_listed(tmp_path):
    params = seeded_network("heads")[1]
    fields = schema.flat(schema.get_config()) | {
        "diffusion.schedule": "edm",
        "diffusion.time_feature": "log_snr",
        "diffusion.sigma_data": 0.5,
        "data.low": 0.0,
    }
    run = Trained({}, fields, (8, 8, 3), 0, params, 0, {})
    with pytest.raises(ValueError, match="diffusers cannot express") as error:
        write(tmp_path / "out", run)
    for field in ("diffusion.schedule", "time_feature", "sigma_data", "data.low"):
        assert field in str(error.value)
    groups = "model.norm_groups=0 (2), whose norms have 2, 4, 6, 8 groups"
    assert groups in str(error.value)
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()
    other = run._replace(
        fields=fields | {"model.name": "residual_unet"}, params={"in": {"bias": 1.0}}
    )
    with pytest.raises(ValueError, match=r"model.name=residual_unet \(unet\)") as error:
        write(tmp_path / "out", other)
    assert str(error.value).count("model.name") == 1
    several = schema.flat(schema.get_config()) | {
        "model.norm_groups": 4,
        "model.channels": 8,
        "model.num_heads": 2,
        "model.attention": (8, 4),
    }
    with pytest.raises(ValueError, match=r"model.num_heads=2 \(1\)"):
        write(tmp_path / "out", run._replace(fields=several))


def damaged(folder, kind):
    path, stored = folder / "unet" / WEIGHTS, load_file(folder / "unet" / WEIGHTS)
    name = "conv_in.bias"
    if kind == "missing":
        del stored[name]
    elif kind == "extra":
        stored["conv_on.bias"] = stored[name]
    elif kind == "shape":
        stored[name] = stored[name][:3]
    save_file(stored, path)
    if kind == "pickle":
        path.rename(path.with_suffix(".bin"))
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    elif kind == "network":
        config = json.loads((folder / "unet/config.json").read_text())
        config["_class_name"] = "UNet2DConditionModel"
        (folder / "unet/config.json").write_text(json.dumps(config))
    elif kind == "scheduler":
        shutil.rmtree(folder / "scheduler")
    elif kind == "code":
        stored = schema.get_config()
        stored.train.optimizer = "tests.foreign_parts.optimizer"
        (folder / "jaxdiff.json").write_text(json.dumps(stored.to_dict(), default=list))
    elif kind == "pipeline":
        index = json.loads((folder / "model_index.json").read_text())
        index["_class_name"] = "StableDiffusionPipeline"
        (folder / "model_index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("missing", "it lacks conv_in.bias"),
        ("extra", "it has the unknown conv_on.bias"),
        ("shape", r"conv_in.bias must be of shape \(8,\), got \(3,\)"),
        ("pickle", "is a pickle, which could run code; to convert it"),
        ("truncated", "is not a safetensors file that can be read"),
        ("network", "of a UNet2DConditionModel; UNet2DModel, AutoencoderKL are read"),
        ("pipeline", "of a StableDiffusionPipeline; DDPMPipeline"),
        ("scheduler", "is a pipeline without its .*scheduler_config.json"),
        ("code", r"code outside jaxdiff, .*foreign_parts.optimizer \(train.optimizer"),
    ],
)
def test_a_bad_folder_is_an_error_of_one_line(pipeline, tmp_path, kind, text):
    folder = tmp_path / "folder"
    shutil.copytree(pipeline, folder)
    damaged(folder, kind)
    with pytest.raises(ValueError, match=text) as error:
        convert(folder, tmp_path / "run")
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_a_folder_that_names_code_imports_none(pipeline, tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    shutil.copytree(pipeline, folder)
    stored = schema.get_config().to_dict()
    stored["diffusion"]["distance"] = "stranger.make"
    (folder / "jaxdiff.json").write_text(json.dumps(stored))
    (tmp_path / "stranger.py").write_text("raise AssertionError('it ran')")
    monkeypatch.syspath_prepend(str(tmp_path))
    words = r"jaxdiff\.json names code outside .*stranger\.make \(diffusion\.distance"
    with pytest.raises(ValueError, match=words):
        convert(folder, tmp_path / "run")
