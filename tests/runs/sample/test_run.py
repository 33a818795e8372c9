"""Sampling as a run: what it depends on, what it compiles, what it lowers for."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff import build
from jaxdiff.data import images
from jaxdiff.diffusion import sampling
from jaxdiff.runs.experiment import Experiment, open_run
from jaxdiff.runs.sample import run as sample
from jaxdiff.runs.shared_pictures import save_samples
from jaxdiff.train import parallel
from jaxdiff.train.state import init_state, num_params
from jaxdiff.train.step import make_train_step
from tests.runs.conftest import SPECK, untrained


def initialised(config):
    """An experiment without a run, and parameters as a training run starts with."""
    run = Experiment(config)
    return run, jax.jit(run.task.init)(jax.random.key(0))


def test_other_numbers_compile_nothing(tiny, compilations):
    """Guidance, eta, the seed, and another grid of as many steps."""
    config = tiny(sampler__guidance=2.0, sampler__solver="ddim(eta=0.5)")
    run, params = initialised(config)
    index, labels = np.arange(8), run.conditions(8)
    first = run.sampler()
    a = first.draw(params, 0, index, labels)
    assert compilations.names  # it does count
    compilations.names.clear()
    images = [a, first.draw(params, 1, index, labels)]
    assert compilations.names == []
    for fields in (
        {"guidance": 3.0, "solver": "ddim(eta=0.5)"},
        {"guidance": 2.0, "solver": "ddim(eta=0.9)"},
        {"grid": "karras"},
    ):
        other = run.with_sampler(**fields).sampler()
        compilations.names.clear()  # of the grid, for one
        images.append(other.draw(params, 0, index, labels))
        assert compilations.names == []
    # and each of them did change the images
    for other in images[1:]:
        assert abs(other - a).max() > 1e-4


def test_devices_without_an_image_do_nothing(tiny, monkeypatch):
    """One image on four devices is drawn by one, and is what it is among others."""
    used = []

    def pmap_map(f, devices, split):
        used.append(len(devices))
        return real(f, devices, split)

    real = parallel.pmap_map
    monkeypatch.setattr(parallel, "pmap_map", pmap_map)
    # a shape of its own, whose program no other test has made
    run, params = initialised(tiny(**SPECK | {"data__shape": (6, 6, 1)}))
    sampler = run.sampler()
    one, three, all_five = (
        sampler.draw(params, 0, np.arange(n), run.conditions(n)) for n in (1, 3, 5)
    )
    assert used == [1, 3, 4]
    chex.assert_trees_all_close(one, all_five[:1], atol=1e-5)
    chex.assert_trees_all_close(three, all_five[:3], atol=1e-5)


def test_another_trained_run_of_the_config_compiles_nothing(
    tiny, tmp_path, compilations
):
    index, images = np.arange(4), []
    for seed in (0, 1):
        run = untrained(tiny(**SPECK, seed=seed), tmp_path / str(seed))
        sampler, labels = run.sampler(), run.conditions(4)
        compilations.names.clear()  # of the grid, for one
        images.append(sampler.draw(run.params, 0, index, labels))
        assert bool(compilations.names) == (seed == 0)  # it does count
    assert abs(images[1] - images[0]).max() > 1e-4


def equations(jaxpr) -> int:
    """How many in a jaxpr, those of loops and calls inside it included."""
    count = 0
    for eqn in jaxpr.eqns:
        count += 1
        for value in eqn.params.values():
            for part in value if isinstance(value, tuple | list) else (value,):
                inner = getattr(part, "jaxpr", part)
                if hasattr(inner, "eqns"):
                    count += equations(inner)
    return count


@pytest.mark.parametrize("solver", ["ddim(eta=0.5)", "ddpm"])
def test_a_thousand_steps_are_as_many_equations_as_ten(tiny, solver):
    config = tiny(sampler__solver=solver)
    run, params = initialised(config)
    counts = []
    for n in (10, 1000):
        config.sampler.num_steps = n
        ts = jnp.asarray(build.make_grid(config, run.schedule), jnp.float32)
        assert len(ts) == n + 1

        def draw(seeds, x, labels, ts=ts):
            denoise = run.task.model(params)
            made = build.make_solver(config, run.schedule)
            return sampling.sample(seeds, denoise, made, ts, x, labels)

        seeds = jax.random.split(jax.random.key(0), 4)
        jaxpr = jax.make_jaxpr(draw)(seeds, jnp.ones((4, 2)), jnp.zeros(4, jnp.int32))
        counts.append(equations(jaxpr.jaxpr))
    assert counts[0] == counts[1] > 50


def test_the_schedule_is_built_once_a_run(tiny, monkeypatch):
    built, make = [], build.make_schedule
    monkeypatch.setattr(build, "make_schedule", lambda c: built.append(c) or make(c))
    run, params = initialised(tiny())
    for solver in ("ddim", "heun"):
        sampler = run.with_sampler(solver=solver).sampler()
        sampler.draw(params, 0, np.arange(2), run.conditions(2))
        sampler.nfe()
    assert len(built) == 1


def test_image_i_depends_on_seed_and_number_alone(tiny):
    """Law 1: any batch, any chunk, any place in it."""
    run, params = initialised(tiny(sampler__guidance=2.0, sampler__solver="ddpm"))
    labels = np.array([0, 1] * 6, np.int32)
    whole = run.sampler()
    all_of = whole.draw(params, 3, np.arange(12), labels)
    assert all_of.shape == (12, 2)
    some = np.array([11, 4, 7])
    np.testing.assert_allclose(
        whole.draw(params, 3, some, labels[some]), all_of[some], rtol=1e-4, atol=1e-5
    )
    four = run.with_sampler(batch_size=4).sampler()
    chunks = four.draw(params, 3, np.arange(12), labels)
    np.testing.assert_allclose(chunks, all_of, rtol=1e-4, atol=1e-5)
    assert len({row.tobytes() for row in all_of}) == 12


def test_samples_that_are_not_finite_are_an_error(tiny):
    run, params = initialised(tiny())
    params = jax.tree.map(lambda a: a * np.nan, params)
    with pytest.raises(FloatingPointError, match="6 of 6 samples are not finite"):
        run.sampler().draw(params, 0, np.arange(6), run.conditions(6))


def test_nfe_is_counted(tiny):
    assert Experiment(tiny(sampler__num_steps=7)).sampler().nfe() == 7


@pytest.mark.parametrize(
    ("num", "classes", "labels"),
    [(6, 3, [0, 0, 1, 1, 2, 2]), (4, 3, [0, 0, 1, 2]), (2, 4, [0, 2])],
)
def test_even_conditions_by_hand(num, classes, labels, tiny):
    run = Experiment(tiny(data__num_classes=classes))
    assert run.conditions(num).tolist() == labels


def test_no_classes_no_conditions(tiny):
    assert Experiment(tiny(diffusion__condition="none")).conditions(5) is None


def test_open_run_reads_the_averaged_parameters(whole):
    folder, _, state = whole
    run = open_run(folder)
    assert run.step == 8
    for a, b, c in zip(
        jax.tree.leaves(run.params),
        jax.tree.leaves(state.ema),
        jax.tree.leaves(state.params),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
        assert (np.asarray(a) != np.asarray(c)).any()


def test_reading_leaves_every_checkpoint(whole):
    folder, *_ = whole
    before = sorted(p.as_posix() for p in folder.rglob("*"))
    open_run(folder)
    assert sorted(p.as_posix() for p in folder.rglob("*")) == before


def tiny_unet():
    from configs import digits

    config = digits.get_config("smoke")
    config.data.update({"shape": (4, 4, 1), "num_classes": 3})
    config.model.update({"channels": 8, "multipliers": (1, 2), "num_blocks": 1})
    config.model.update({"attention": (2,), "dropout": 0.1})
    return config


PLATFORMS = ("cpu", "cuda", "tpu")


def test_the_training_step_lowers_for_all_platforms():
    """No test machine has them all: lowering is what can be checked without."""
    config = tiny_unet()
    task = Experiment(config).task
    tx, _ = build.make_optimizer(config)
    step = make_train_step(task.loss, tx, build.make_ema(config), axis=None)

    def on_data(state, batch, key_data):
        return step(state, batch, jax.random.wrap_key_data(key_data))

    state = jax.eval_shape(
        lambda: init_state(jax.jit(task.init)(jax.random.key(0)), tx)
    )
    batch = {
        "x": jax.ShapeDtypeStruct((1, 4, 4, 4, 1), np.float32),
        "cond": jax.ShapeDtypeStruct((1, 4), np.int32),
    }
    key = jax.ShapeDtypeStruct((2,), np.uint32)
    exported = jax.export.export(jax.jit(on_data), platforms=PLATFORMS)(
        state, batch, key
    )
    assert exported.platforms == PLATFORMS
    # and the metrics: loss, x0_mae, grad_norm
    assert len(exported.out_avals) == len(jax.tree.leaves(state)) + 3
    assert "convolution" in exported.mlir_module()


def test_the_sampler_lowers_for_all_platforms():
    config = tiny_unet()
    run = Experiment(config)
    wrap, task = run.sampler().wrap, run.task
    solver = build.make_solver(config, run.schedule)
    ts = jnp.asarray(build.make_grid(config, run.schedule), jnp.float32)

    def on_data(params, key_data, x, labels):
        seeds = jax.random.wrap_key_data(key_data)
        return sampling.sample(seeds, wrap(task.model(params)), solver, ts, x, labels)

    exported = jax.export.export(jax.jit(on_data), platforms=PLATFORMS)(
        jax.eval_shape(task.init, jax.random.key(0)),
        jax.ShapeDtypeStruct((4, 2), np.uint32),
        jax.ShapeDtypeStruct((4, 4, 4, 1), np.float32),
        jax.ShapeDtypeStruct((4,), np.int32),
    )
    assert exported.platforms == PLATFORMS
    assert [a.shape for a in exported.out_avals] == [(4, 4, 4, 1)]
    assert "while" in exported.mlir_module()


def test_train_and_sample_agree_on_the_preview(whole, tmp_path):
    """samples/STEP.png is what launch.sample would draw from the last checkpoint."""
    folder, _, state = whole
    run = open_run(folder)
    num = run.config.train.num_preview
    labels = run.conditions(num)
    x = run.sampler().draw(run.params, run.config.seed, np.arange(num), labels)
    again = tmp_path / "again.png"
    save_samples(again, run.source, run.source.decode(x), labels)
    drawn = folder / "samples" / f"{int(state.step):08d}.png"
    assert again.read_bytes() == drawn.read_bytes()
    assert num_params(state.ema) == num_params(run.params)


def test_a_class_with_a_slash_is_no_folder(tmp_path):
    """Fashion-MNIST's first is called T-shirt/top."""
    pixels = np.zeros((2, 4, 4, 1), np.uint8)
    source = images.from_array(
        pixels, np.array([0, 1]), ("T-shirt/top", "Bag"), low=0.0
    )
    sample.write_pngs(tmp_path, source, pixels, np.array([0, 1]), np.array([0, 11]))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["000000_T-shirt-top.png", "000011_Bag.png"]
