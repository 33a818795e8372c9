"""Guidance of a config: rules, intervals, a weaker run, thresholds, ADM's order.

adm.npz is written by make_adm_fixture.py, which lists its contents.
"""

import pathlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff import build
from jaxdiff.diffusion import predictions, rules
from jaxdiff.diffusion.denoisers import make_denoise
from jaxdiff.diffusion.inputs import index
from jaxdiff.runs.experiment import Experiment
from jaxdiff.runs.sampler import Guides, make_sampler
from jaxdiff.tasks.classifier import Classify
from tests.runs import make_adm_fixture as adm
from tests.runs.conftest import IMAGES, SPECK, tiny_config


@jax.jit
def x0_of(denoise, x_t, t, labels):
    """One program for all scales."""
    return denoise(x_t, t, labels).x0


@pytest.fixture
def guided(tiny):
    """(t, fields of config.sampler) -> x0 of the sampler's denoiser."""
    run = Experiment(tiny())
    params = jax.jit(run.task.init)(jax.random.key(0))
    x_t = jax.random.normal(jax.random.key(1), (6, *run.source.shape))

    def denoise(t=0.5, **fields):
        wrap = run.with_sampler(**fields).sampler().wrap
        denoiser, labels = wrap(run.task.model(params)), jnp.arange(6) % 2
        return np.asarray(x0_of(denoiser, x_t, jnp.asarray(t), labels))

    return denoise


def test_a_rule_is_chosen_by_name(guided):
    labelled, other = guided(guidance=1.0), guided(guidance=0.0)
    assert abs(labelled - other).max() > 1e-3
    plain = guided(guidance=3.0)
    np.testing.assert_allclose(plain, other + 3 * (labelled - other), atol=1e-5)
    for name in rules.__all__:
        got = guided(guidance=3.0, rule=name)
        assert np.isfinite(got).all()
        # CFG++ differs by the noise alone
        assert (abs(got - plain).max() > 1e-4) == (name not in ("linear", "plus_plus"))


def test_outside_the_interval_the_scale_is_one(guided):
    # of the cosine schedule sigma / alpha at t = .5 is 1
    for interval, same in (((0.5, 2.0), False), ((2.0, 9.0), True), ((), False)):
        apart = abs(
            guided(guidance=3.0, interval=interval) - guided(guidance=1.0)
        ).max()
        assert (apart < 1e-6) == same, interval


def test_a_weaker_run_is_led_away_from(guided, whole):
    folder, *_ = whole
    strong, weak = guided(), guided(weak=str(folder), weak_scale=0.0)
    assert abs(strong - weak).max() > 1e-3
    got = guided(weak=str(folder), weak_scale=2.5)
    np.testing.assert_allclose(got, weak + 2.5 * (strong - weak), atol=1e-4)
    # and under guidance with labels
    both = guided(weak=str(folder), weak_scale=2.5, guidance=0.0)
    assert abs(both - got).max() > 1e-4


def test_quantiles_keep_what_is_inside_in_proportion():
    fields = {**IMAGES, "model__name": "basic_unet", "diffusion__condition": "none"}
    run = Experiment(tiny_config(**fields, sampler__clip=True))
    model = run.task.model(jax.jit(run.task.init)(jax.random.key(0)))
    x_t = 30 * jax.random.normal(jax.random.key(1), (2, *run.source.shape))
    x0 = {}
    for name, quantile in (("off", 0.0), ("on", 0.5)):
        wrap = run.with_sampler(quantile=quantile).sampler().wrap
        x0[name] = np.asarray(wrap(model)(x_t, jnp.array(0.1), None).x0)
    assert all(abs(value).max() <= 1 for value in x0.values())
    at_the_ends = {k: (abs(value) > 0.999).mean() for k, value in x0.items()}
    # of the median half the values are outside: the other half is not
    assert at_the_ends["on"] < 0.6 < 0.8 < at_the_ends["off"]


PATHS = dict(np.load(pathlib.Path(adm.__file__).parent / "adm.npz"))


def adm_network(x_t, c, cond):
    x, entry = x_t[..., 0], index(1000)(c)[:, None, None]
    return jnp.stack([1.5 * jnp.sin(x * (1 + entry / 500)), jnp.cos(2 * x)], axis=-1)


def adm_logits(x, t):
    times = jnp.broadcast_to(t, x.shape[:1])[:, None]
    return x.reshape(len(x), -1) @ adm.WEIGHTS * (1 + (1000 * times - 1) / 1000)


@pytest.mark.parametrize("name", PATHS)
def test_a_classifier_guides_in_the_order_of_adm(x64, name):
    """Every step of theirs: the clipped model is guided, and is not clipped again."""
    kind = name.split()[1:]
    config = tiny_config(
        **SPECK,
        diffusion__schedule="linear_beta",
        diffusion__learned_variance=True,
        diffusion__label_dropout=0.0,
        sampler__clip=True,
        sampler__solver=f"ddpm(variance={kind[0]!r})" if kind else "ddim",
        sampler__classifier="given",
        sampler__classifier_form="mean" if kind else "score",
        sampler__classifier_scale=adm.SCALE,
    )
    run = Experiment(config)
    guides = Guides(classifier=Classify(Partial(adm_logits), None))
    wrap = make_sampler(config, run.source, run.task, run.schedule, guides).wrap
    denoise = wrap(
        make_denoise(
            Partial(adm_network),
            schedule=run.schedule,
            prediction=predictions.eps(),
            learned_variance=True,
        )
    )
    solver, path = build.make_solver(config, run.schedule), PATHS[name]
    ts = jnp.append((jnp.asarray(adm.KEPT[::-1]) + 1) / 1000, 0.0)
    state, bound = solver.init(jnp.asarray(path[0])), partial(denoise, cond=adm.LABELS)
    outside = 0
    for k, (x, z) in enumerate(zip(path[:-1], adm.NOISE[-2::-1], strict=True)):
        noise = lambda z=z: jnp.asarray(z)  # noqa: E731
        x, state = solver.step(bound, noise, jnp.asarray(x), ts[k], ts[k + 1], state)
        np.testing.assert_allclose(x, path[k + 1], rtol=1e-7, atol=1e-9)
        guided_x0 = bound(jnp.asarray(path[k]), ts[k]).x0
        outside += int((jnp.abs(guided_x0) > 1).sum())
    assert kind or outside  # or the order would not show


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rule": "linar"}, "did you mean 'linear'"),
        ({"rule": "apg(eta=1.0, nrm=2.0)"}, "did you mean 'norm'"),
        (
            {"interval": (1.0,)},
            r"interval must be \(low, high\) or \(\), got \(1\.0,\)",
        ),
        ({"weak": "nothing/here"}, "nothing/here is not a run's workdir"),
    ],
)
def test_mistakes(guided, fields, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        guided(**fields)
