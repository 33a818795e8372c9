"""Weights of other projects as runs: sampled, guided, trained on, and refused."""

import pathlib
from dataclasses import replace
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import (
    base,
    cifar10_ddpm,
    cifar10_iddpm,
    imagenet64_adm,
    imagenet64_adm_classifier,
    imagenet64_to_256_adm,
    imagenet256_adm,
)
from jaxdiff import choices, interop
from jaxdiff.choices import pick
from jaxdiff.data import record as records
from jaxdiff.interop import mapping, tensors
from jaxdiff.runs import workdir as files
from jaxdiff.runs.convert.export import writer
from jaxdiff.runs.convert.run import complete, convert
from jaxdiff.runs.experiment import open_run
from jaxdiff.runs.train import loop, setup
from jaxdiff.schema import flat
from tests.interop import make_openai_fixture as theirs
from tests.interop.make_openai_fixture import CLASSES, SIDE, inputs, some, weights
from tests.interop.test_openai import NAMES, OUTPUTS, PUBLISHED, format_of, shapes_of


def config_of(**changed):
    """Of narrow networks; changed: block__field."""
    config = base.get_config()
    config.data.update(
        {"name": "synthetic", "shape": (SIDE, SIDE, 3), "num_classes": CLASSES}
    )
    config.data.num_examples = 12
    config.model.update(
        {
            "channels": 32,
            "num_blocks": 1,
            "num_heads": 0,
            "head_channels": 16,
            "norm_groups": 32,
            "resblock_updown": True,
            "time_embedding": "cos_sin",
        }
    )
    config.diffusion.update(
        {
            "schedule": "linear_beta",
            "prediction": "eps",
            "times": "discrete(num_steps=1000)",
            "label_dropout": 0.0,
            "learned_variance": True,
        }
    )
    config.train.update({"batch_size": 4, "num_steps": 1, "num_preview": 4})
    config.update_from_flattened_dict(
        {name.replace("__", "."): value for name, value in changed.items()}
    )
    return config


ADM = {"model__multipliers": (1, 1, 2), "model__attention": (4,)}
SMALL = {"model__multipliers": (1, 2), "model__attention": (8,)}


def classifier_config():
    config, plain = config_of(task="classifier", **SMALL), base.get_config()
    config.model.name = "classifier"
    config.diffusion.prediction = plain.diffusion.prediction
    config.diffusion.label_dropout = plain.diffusion.label_dropout
    config.diffusion.learned_variance = False
    config.train.num_preview = plain.train.num_preview
    return config


def write(folder, name, change=None):
    path = folder / f"{name}.safetensors"
    shapes = NAMES[f"narrow/{name}"]
    arrays = {k: weights(k, shape) for k, shape in shapes.items()} | (change or {})
    tensors.write(path, {k: a for k, a in arrays.items() if a is not None})
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The workdirs of a converted denoiser and of its classifier."""
    folder = tmp_path_factory.mktemp("converted")
    paths = {}
    for name, config in (
        (theirs.GUIDED_BY, config_of(**ADM)),
        ("classifier", classifier_config()),
    ):
        paths[name] = folder / name
        convert(write(folder, name), paths[name], config)
        assert files.load_config(paths[name]) == config
    return paths


def guided(runs, **fields):
    run = open_run(runs[theirs.GUIDED_BY])
    guides = {"classifier": str(runs["classifier"]), "classifier_scale": theirs.SCALE}
    return run.with_sampler(num_steps=theirs.STEPS, batch_size=2, **guides, **fields)


def test_ddim_is_that_of_guided_diffusion(runs):
    """The whole loop, with their classifier's gradient and clipping."""
    grid = f'respaced(sections="ddim{theirs.STEPS}")'
    run = guided(runs, solver="ddim", grid=grid)
    x, _, _, labels, _ = inputs()
    drawn = run.sampler().draw(run.params, 0, np.arange(len(x)), labels, x_T=x)
    error = np.abs(some(drawn) - OUTPUTS["ddim loop"]).max()
    print(f"ddim: {error:.1e}")
    assert error < 1e-4 < OUTPUTS["ddim loop"].std()


@pytest.mark.slow
def test_ancestral_steps_are_those_of_guided_diffusion(runs):
    """The same, with their noise in each step and the learned variance."""
    solver = 'ddpm(variance="learned")'
    run = guided(runs, solver=solver, grid="respaced", classifier_form="mean")
    x, _, _, labels, noise = inputs()
    shared = run.sampler().shared(run.params)
    bound, ts = partial(shared.denoise, cond=jnp.asarray(labels)), shared.ts

    @jax.jit
    def step(x, z, t, s, state):
        return shared.solver.step(bound, lambda *_: z, x, t, s, state)

    x = jnp.asarray(x)
    state = shared.solver.init(x)
    for z, t, s in zip(noise, ts[:-1], ts[1:], strict=True):
        x, state = step(x, jnp.asarray(z), t, s, state)
    error = np.abs(some(x) - OUTPUTS["ddpm loop"]).max()
    print(f"ddpm: {error:.1e}")
    assert error < 1e-4 < OUTPUTS["ddpm loop"].std()


def test_a_converted_run_resumes_on_its_data(runs):
    """The parameters are the file's; the data are read and then recorded."""
    folder = runs["classifier"]
    before = records.load(folder)
    assert (before.size, before.shape) == (0, (SIDE, SIDE, 3))
    assert before.class_names == tuple("01234")
    run = setup.prepare(classifier_config(), folder)
    assert run.record.size == len(run.experiment.source) == 12
    checkpoints = loop.Checkpoints(run)
    state = checkpoints.restore(run.init())
    checkpoints.close()
    params = open_run(folder).params
    assert int(state.step) == 0
    for tree in (state.params, state.ema):
        chex.assert_trees_all_equal(tree, params)
    stem = np.asarray(params["encoder"]["stem"]["kernel"])
    name = "input_blocks.0.0.weight"
    expected = weights(name, NAMES["narrow/classifier"][name])
    np.testing.assert_array_equal(stem[1, 2, 0], expected[:, 0, 1, 2])
    config = classifier_config()
    config.data.num_classes = 4
    with pytest.raises(ValueError, match="num_classes=4"):
        setup.prepare(config, folder)


def test_a_record_without_data_gives_way_to_the_data(tmp_path, runs):
    unread = records.load(runs["classifier"])
    records.save(tmp_path, unread)
    read = replace(unread, size=9, class_names=("a", "b", "c", "d", "e"))
    for later in (read, unread, replace(read, size=7)):
        records.save(tmp_path, later)
        assert records.load(tmp_path) == read


NAME = "out.2.weight"
WRONG = {
    "a missing tensor": ({NAME.replace("weight", "bias"): None}, "it lacks out.2.bias"),
    "an extra tensor": ({"extra": np.zeros(1, np.float32)}, "the unknown extra"),
    "a shape": (
        {NAME: np.zeros((6, 32, 1, 1), np.float32)},
        r"out\.2\.weight must be of shape \(6, 32, 3, 3\), got \(6, 32, 1, 1\)",
    ),
    "no number": ({NAME: np.full((6, 32, 3, 3), np.nan, np.float32)}, "not .* finite"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_tensors_are_named(tmp_path, case):
    change, words = WRONG[case]
    path = write(tmp_path, "adm256", change)
    with pytest.raises(ValueError, match=words) as error:
        convert(path, tmp_path / "run", config_of(**ADM))
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_converted_is_refused(tmp_path, runs):
    path, run = write(tmp_path, "adm256"), tmp_path / "run"
    other = tmp_path / "other.safetensors"
    tensors.write(other, {"conv1.weight": np.zeros((1, 1, 1, 1), np.float32)})
    (tmp_path / "folder").mkdir()
    for source, words in (
        (other, "none of the formats .*ddpm.*openai"),
        (tmp_path / "folder", "none of the formats"),
        (tmp_path / "none", "no file or folder"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=words):
            convert(source, run, config_of(**ADM))
    with pytest.raises(ValueError, match="no 'openia'; did you mean 'openai'"):
        convert(path, run, config_of(**ADM), "openia")
    with pytest.raises(
        ValueError,
        match=r'--config.model.multipliers="\(1, 1, 2\)" \(it has "\(1, 2\)"\)',
    ):
        convert(path, run, config_of(**SMALL))
    with pytest.raises(ValueError, match=r"data.low=-1.0 \(it has 0.0\)"):
        convert(path, run, config_of(**ADM, data__low=0.0))
    with pytest.raises(ValueError, match="not empty and holds a run"):
        convert(path, runs["classifier"], config_of(**ADM))
    assert not run.exists()


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_need_no_config(name, monkeypatch):
    foreign = shapes_of(name, monkeypatch)
    config = complete(foreign, None)
    assert {k: v for k, v in flat(config).items() if k in foreign.fields} == (
        foreign.fields
    )


CONFIGS = {
    "guided/64": imagenet64_adm,
    "guided/64_classifier": imagenet64_adm_classifier,
    "guided/256": imagenet256_adm,
    "guided/64_256_upsampler": imagenet64_to_256_adm,
    "improved/cifar10": cifar10_iddpm,
    "ddpm/cifar10": cifar10_ddpm,
}


@pytest.mark.parametrize("name", CONFIGS)
def test_published_networks_have_the_configs_of_the_papers(name, monkeypatch):
    """Our configs fit the files, and what is assumed without them is what they have."""
    config = CONFIGS[name].get_config()
    make = pick(interop, format_of(name))
    foreign = shapes_of(name, monkeypatch)
    monkeypatch.setattr(tensors, "shapes", lambda path: NAMES[name])
    with_config = make(pathlib.Path(name), flat(config))
    assert complete(with_config, config) == config
    assert with_config.shape == foreign.shape
    machine = ("model.dtype", "model.remat")
    assert not files.differing(
        complete(foreign, None), config, within=("model", "diffusion"), but=machine
    )


@pytest.mark.parametrize("name", choices.members(interop))
def test_a_run_is_written_in_the_formats_that_can_be(name):
    """Every format either has a writer with options, or is refused in one line."""
    if name == "diffusers":
        assert callable(writer(name))
        return
    with pytest.raises(ValueError, match=f"as {name}; --format takes diffusers$"):
        writer(name)


def test_a_guessed_order_is_noted(tmp_path, capsys):
    path = write(tmp_path, "adm256")
    make = pick(interop, "openai")
    for order, heads, expected in (("auto", 2, 1), ("old", 2, 0), ("auto", 1, 0)):
        config = config_of(**ADM, model__num_heads=heads, model__head_channels=0)
        make(path, flat(config), order=order)
        assert capsys.readouterr().err.count('openai(order="new")') == expected


def test_the_inverse_gives_the_file(runs, tmp_path):
    """What was converted is written as it was, from the run's parameters."""
    run = open_run(runs[theirs.GUIDED_BY])
    path = write(tmp_path, theirs.GUIDED_BY)
    table = pick(interop, "openai")(path, flat(run.config)).table(run.params)
    written, read = mapping.write(table, run.params), tensors.read(path)
    assert written.keys() == read.keys()
    chex.assert_trees_all_equal(written, read)
