"""Guidance as a config asks for it: rules, intervals, a weaker run, thresholds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff import build
from jaxdiff.diffusion import rules
from jaxdiff.runs.sampler import make_sampler
from tests.runs.conftest import IMAGES, tiny_config


@jax.jit
def said_by(denoise, x_t, t, labels):
    """One program for all scales."""
    return denoise(x_t, t, labels).x0


@pytest.fixture
def asked(tiny):
    """(x_t, t, labels) -> x0 of the sampler's denoiser, by the sampler's fields."""
    config = tiny()
    source = build.make_source(config)
    task = build.make_task(config, source)
    params = jax.jit(task.init)(jax.random.key(0))
    x_t = jax.random.normal(jax.random.key(1), (6, *source.shape))

    def ask(t=0.5, **fields):
        sampler = make_sampler(
            tiny(**{f"sampler__{k}": v for k, v in fields.items()}), source, task
        )
        wrapped = sampler.wrap(task.model(params))
        return np.asarray(said_by(wrapped, x_t, jnp.asarray(t), jnp.arange(6) % 2))

    return ask


def test_a_rule_is_chosen_by_name(asked):
    wanted, other = asked(guidance=1.0), asked(guidance=0.0)
    assert abs(wanted - other).max() > 1e-3
    plain = asked(guidance=3.0)
    np.testing.assert_allclose(plain, other + 3 * (wanted - other), atol=1e-5)
    for name in rules.__all__:
        got = asked(guidance=3.0, rule=name)
        assert np.isfinite(got).all()
        # CFG++ differs by the noise alone
        assert (abs(got - plain).max() > 1e-4) == (name not in ("linear", "plus_plus"))


def test_outside_the_interval_the_scale_is_one(asked):
    # of the cosine schedule sigma / alpha at t = .5 is 1
    for interval, same in (((0.5, 2.0), False), ((2.0, 9.0), True), ((), False)):
        apart = abs(asked(guidance=3.0, interval=interval) - asked(guidance=1.0)).max()
        assert (apart < 1e-6) == same, interval


def test_a_weaker_run_is_led_away_from(asked, whole):
    folder, *_ = whole
    strong, weak = asked(), asked(weak=str(folder), weak_scale=0.0)
    assert abs(strong - weak).max() > 1e-3
    got = asked(weak=str(folder), weak_scale=2.5)
    np.testing.assert_allclose(got, weak + 2.5 * (strong - weak), atol=1e-4)
    # and under guidance with labels
    both = asked(weak=str(folder), weak_scale=2.5, guidance=0.0)
    assert abs(both - got).max() > 1e-4


def test_quantiles_keep_what_is_inside_in_proportion():
    fields = {**IMAGES, "model__name": "basic_unet", "diffusion__condition": "none"}
    found = {}
    for name, more in (("off", {}), ("on", {"sampler__quantile": 0.5})):
        config = tiny_config(**fields, **more, sampler__clip=True)
        source = build.make_source(config)
        task = build.make_task(config, source)
        sampler = make_sampler(config, source, task)
        model = task.model(jax.jit(task.init)(jax.random.key(0)))
        x_t = 30 * jax.random.normal(jax.random.key(1), (2, *source.shape))
        found[name] = np.asarray(sampler.wrap(model)(x_t, jnp.array(0.1), None).x0)
    assert all(abs(x0).max() <= 1 for x0 in found.values())
    at_the_ends = {k: (abs(x0) > 0.999).mean() for k, x0 in found.items()}
    # of the median half the values are outside: the other half is not
    assert at_the_ends["on"] < 0.6 < 0.8 < at_the_ends["off"]


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
def test_mistakes(asked, fields, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        asked(**fields)
