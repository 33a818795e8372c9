"""EDM's networks against EDM's own code, and its file format in both directions.

edm.npz is written by make_edm_fixture.py, which lists its contents.
"""

import math
import pickle
from functools import cache
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import cifar10_edm
from jaxdiff import build, choices, models, schema
from jaxdiff.diffusion import solvers
from jaxdiff.interop import edm, mapping, preconds, tensors
from jaxdiff.runs.convert.run import convert
from jaxdiff.runs.experiment import open_run
from tests.interop import make_edm_fixture as reference
from tests.slow import slow_but

STORED = np.load(Path(__file__).parent / "edm.npz")
AT_ONCE = [("ddpmpp", "EDMPrecond"), ("ncsnpp", "VEPrecond"), ("adm", "VPPrecond")]


@cache
def shapes(name):
    """{name: shape} of a state dict in the fixture."""
    lines = (line.rpartition(" ") for line in str(STORED[name]).splitlines())
    return {key: tuple(map(int, shape.split("x"))) for key, _, shape in lines}


@cache
def state(name):
    """The state dict of a narrow network."""
    expected = shapes(f"{name}/names")
    filters = edm.filters(edm.net_of(expected))
    rest = {key: shape for key, shape in expected.items() if key not in filters}
    return filters | {key: reference.weights(key, s) for key, s in rest.items()}


def file_of(folder, name, precond="EDMPrecond", **changes):
    """A file as `cure` makes it; a tensor changed to None is left out."""
    path = folder / f"{name}.safetensors"
    arrays = {k: a for k, a in (state(name) | changes).items() if a is not None}
    tensors.write(path, arrays, {"precond": precond, "sigma_data": "0.5"})
    return path


def config_of(foreign):
    """Config and task of a foreign model, as launch.convert makes them."""
    config = schema.get_config()
    config.update_from_flattened_dict({**foreign.assumed, **foreign.fields})
    config.data.update({"name": "synthetic", "shape": foreign.shape})
    config.data.num_classes = foreign.classes
    source, schedule = build.make_source(config), build.make_schedule(config)
    return config, build.make_task(config, source, lambda: schedule)


def opened(path):
    """A file's foreign model, its task and schedule, and the parameters."""
    foreign = edm.make(path)
    config, task = config_of(foreign)
    like = jax.eval_shape(task.init, jax.random.key(0))
    params = mapping.read(foreign.table(like), foreign.tensors(), like)
    return foreign, task, build.make_schedule(config), params


def assert_near(result, expected, share):
    """Equal to a share of the standard deviation of what is expected."""
    assert abs(np.asarray(result) - expected).max() <= share * expected.std()


def at(schedule, sigma):
    """The time of a noise level sigma / alpha."""
    return schedule.t_of(-2 * jnp.log(jnp.asarray(sigma)))


@pytest.mark.parametrize("pair", slow_but(AT_ONCE, reference.PAIRS), ids="-".join)
def test_the_denoiser_is_theirs(tmp_path, pair):
    name, precond = pair
    _, task, schedule, params = opened(file_of(tmp_path, name, precond))
    x, labels = reference.inputs()
    t = at(schedule, np.float32(reference.SIGMAS))
    x_t = x * schedule.alpha(t)[:, None, None, None]
    cond = labels if name != "ncsnpp" else None
    x0 = jax.jit(task.model(params))(x_t, t, cond).x0
    # float32 rounds the step 999 t, of which there are 1,000 a unit, before its sines
    share = 2e-5 if precond == "VPPrecond" else 1e-5
    for result, expected in zip(x0, STORED[f"{name}/{precond}"], strict=True):
        assert_near(result, expected, share)


@pytest.mark.parametrize("name", slow_but(["ddpmpp"], reference.NARROW))
def test_the_network_is_theirs(tmp_path, name):
    foreign = edm.make(file_of(tmp_path, name))
    fields = {k.partition(".")[2]: v for k, v in foreign.fields.items() if "model" in k}
    block = {**schema.FIELDS["model"], **fields}
    given = {"shape": foreign.shape, "num_classes": foreign.classes}
    network = choices.from_block(models, block, **given)
    x, labels = reference.inputs()
    args = (x[:2], np.log(np.float32(reference.SIGMAS[:2])), labels[:2])
    like = jax.eval_shape(network.init, jax.random.key(0), *args)["params"]
    params = mapping.read(foreign.table(like), foreign.tensors(), like)
    out = jax.jit(network.apply)({"params": params}, *args)
    assert_near(out, STORED[f"{name}/out"], 1e-5)


def test_a_converted_run_samples_as_theirs(tmp_path):
    """By its own config: heun on the grid of karras, and then with churn."""
    convert(file_of(tmp_path, "ddpmpp"), tmp_path / "run")
    run = open_run(tmp_path / "run")
    config, schedule, model = run.config, run.schedule, run.model
    ts = jnp.asarray(build.make_grid(config, schedule), jnp.float32)
    labels = jnp.asarray(reference.inputs()[1][:2])
    steps = range(reference.STEPS)
    noises = jnp.asarray([reference.noise(i + 1) for i in steps], jnp.float32)

    @jax.jit
    def draw(solver, x):
        def step(x, now):
            t, s, z = now
            return solver.step(bound, lambda: z, x, t, s, ())

        def bound(x, t):
            return model(x, t, labels)

        return jax.lax.scan(step, x, (ts[:-1], ts[1:], noises))[0]

    c, x_T = reference.CHURN, 80 * jnp.asarray(reference.noise(0), jnp.float32)
    churn = {"churn": c["S_churn"] / len(steps), "churn_noise": c["S_noise"]}
    levels = {"churn_low": c["S_min"], "churn_high": c["S_max"]}
    for name, fields in (("sampled", {}), ("churned", {**churn, **levels})):
        spec = choices.respec(solvers, config.sampler.solver, **fields)
        config.sampler.solver = spec
        x0 = draw(build.make_solver(config, schedule), x_T)
        print(name, abs(x0 - STORED[name]).max(), STORED[name].std())
        chex.assert_trees_all_close(np.asarray(x0), STORED[name], atol=1e-4, rtol=0)


# FACTS of the constructors: parameters alone, without buffers
COUNTS = {
    "cifar10_cond_ddpmpp": 55_735_299,
    "cifar10_uncond_ncsnpp": 56_397_827,
    "ffhq_ddpmpp": 61_805_571,
    "afhqv2_ncsnpp": 62_761_091,
    "imagenet_cond_adm": 295_899_267,
}


SOME = ("cifar10_cond_ddpmpp", "cifar10_uncond_ncsnpp", "imagenet_cond_adm")


@pytest.mark.parametrize("name", slow_but(SOME, reference.FULL))
def test_every_published_name_of_full_size_maps(name):
    """In shapes alone. What is left out is counted: filters and the augmentation."""
    stored = shapes(name)
    net = edm.net_of(stored)
    filters = edm.filters(net)
    assert {k: a.shape for k, a in filters.items()}.items() <= stored.items()
    rest = {k: shape for k, shape in stored.items() if k not in filters}
    buffers = rest.get("model.map_noise.freqs", (0,))
    assert sum(map(math.prod, rest.values())) == COUNTS[name] + buffers[0]
    rest.pop(edm.AUGMENT, None)
    foreign = mapping.Foreign(
        edm.fields_of(net, "EDMPrecond", 0.5),
        {},
        (net.side, net.side, net.image_channels),
        net.classes,
        lambda like: edm.table(net, "EDMPrecond", like),
        dict,
    )
    _, task = config_of(foreign)
    like = jax.eval_shape(task.init, jax.random.key(0))
    mapping.check(foreign.table(like), rest, like)


def test_the_published_model_fits_the_config_that_trains_it():
    net = edm.net_of(shapes("cifar10_cond_ddpmpp"))
    config = schema.flat(cifar10_edm.get_config())
    fields = edm.fields_of(net, "EDMPrecond", 0.5)
    assert fields.items() <= config.items()
    assumed = preconds.assumed("EDMPrecond", net.side, net.classes)
    near = {"diffusion.times", "train.ema"}  # which state their defaults there
    assert {k: v for k, v in assumed.items() if k not in near}.items() <= config.items()


@pytest.mark.parametrize("name", reference.NARROW)
def test_a_file_is_written_as_it_was_read(tmp_path, name):
    path = file_of(tmp_path, name, "VEPrecond")
    foreign = edm.make(path)
    assert foreign.fields["diffusion.prediction"] == "eps"
    _, task = config_of(foreign)
    like = jax.eval_shape(task.init, jax.random.key(0))
    params = mapping.read(foreign.table(like), foreign.tensors(), like)
    again = tmp_path / "again.safetensors"
    net = edm.net_of(shapes(f"{name}/names"))
    edm.save(again, params, net, precond="VEPrecond", sigma_data=0.5)
    expected = {k: a for k, a in state(name).items() if k != edm.AUGMENT}
    chex.assert_trees_all_equal(tensors.read(again), expected)
    assert tensors.header(again) == tensors.header(path)


def test_what_is_left_out_is_noted(tmp_path, capsys):
    edm.make(file_of(tmp_path, "ddpmpp"))
    assert f"note: {edm.AUGMENT} is left out" in capsys.readouterr().err
    edm.make(file_of(tmp_path, "adm"))
    assert not capsys.readouterr().err


CONV = "model.enc.16x16_conv"


@pytest.mark.parametrize(
    ("precond", "changes", "words"),
    [
        ("iDDPMPrecond", {}, "must be one of EDMPrecond, VPPrecond, VEPrecond, got"),
        ("", {}, "got ''; name it, as in --format='edm"),
        ("EDMPrecond", {f"{CONV}.bias": None}, f"it lacks {CONV}.bias"),
        ("EDMPrecond", {f"{CONV}.weight": None}, "is not a network of EDM's"),
        ("EDMPrecond", {"model.enc.8x8_aux_skip.weight": np.zeros(2)}, "unknown model"),
        ("EDMPrecond", {f"{CONV}.bias": np.zeros(2)}, r"of shape \(8,\), got \(2,\)"),
        (
            "EDMPrecond",
            {"model.enc.8x8_down.conv0.resample_filter": np.zeros((1, 1, 2, 2))},
            "resample_filter must be the filter of ddpmpp",
        ),
    ],
)
def test_other_files_are_refused(tmp_path, precond, changes, words):
    path = file_of(tmp_path, "ddpmpp", precond, **changes)
    with pytest.raises(ValueError, match=words) as error:
        opened(path)
    assert "\n" not in str(error.value)


def test_a_pickle_is_recognised_and_refused_with_its_cure(tmp_path):
    path = tmp_path / "edm-cifar10-32x32-cond-vp.pkl"
    path.write_bytes(pickle.dumps({"ema": None}))
    with pytest.raises(ValueError, match=r"is a pickle.*checkout of NVlabs/edm"):
        convert(path, tmp_path / "run")
    assert edm.matches(file_of(tmp_path, "adm"))
    assert not edm.matches(tmp_path)
