"""Networks for parts of the times: which one answers, and what each is trained on."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff.choices import members
from jaxdiff.diffusion import experts, guidance, predictions, sampling, schedules, times
from jaxdiff.diffusion.denoisers import make_denoise
from jaxdiff.diffusion.levels import coeffs
from jaxdiff.diffusion.solvers import ddim

SCHEDULE = schedules.cosine()


@pytest.mark.parametrize("name", [n for n in members(times) if n != "constant"])
@pytest.mark.parametrize("num", [2, 5])
def test_each_network_gets_its_share_of_the_training_times(name, num):
    sampler = members(times)[name](SCHEDULE)
    edges = experts.make_edges(sampler, num)
    t = sampler((jnp.arange(10_000) + 0.5) / 10_000)
    counts = np.histogram(t, bins=[-1.0, *edges, np.inf])[0]
    np.testing.assert_allclose(counts / len(t), 1 / num, atol=2e-3)


@pytest.mark.parametrize("num", [2, 3])
def test_times_that_do_not_differ_are_refused(num):
    with pytest.raises(ValueError, match=f"{num} experts need .*diffusion.times"):
        experts.make_edges(times.constant(SCHEDULE, t=0.5), num)
    with pytest.raises(ValueError, match="20 experts need"):
        experts.make_edges(times.discrete(SCHEDULE, num_steps=10), 20)


def times_a_number(params, x_t, c, cond):
    """A network whose only parameter is a factor."""
    return params * x_t + 0 * cond


def test_the_network_of_its_time_answers_for_each_example():
    edges = experts.make_edges(times.uniform(SCHEDULE), 4)
    factors, x = jnp.array([1.0, 10.0, 100.0, 1000.0]), jnp.ones((5, 2))
    # 0.5 is the edge itself, which belongs to the times below it
    t = jnp.array([0.1, 0.5, 0.51, 0.9, 1.0])
    out = experts.show(times_a_number, edges, factors, x, coeffs(SCHEDULE, t), 0.0)
    expected = np.array([1.0, 10.0, 100.0, 1000.0, 1000.0])[:, None] * np.ones(2)
    chex.assert_trees_all_equal(np.asarray(out), np.float32(expected))
    for i, one in enumerate(t):
        c = coeffs(SCHEDULE, one)
        same = experts.show(times_a_number, edges, factors, x, c, 0.0)
        chex.assert_trees_all_equal(same[i], out[i])


def test_a_sampler_runs_one_network_a_step():
    """Also with guidance, whose batch is doubled."""
    edges, ran = experts.make_edges(times.uniform(SCHEDULE), 4), []

    def network(k, x_t, c, cond):
        chex.assert_shape(c.t, x_t.shape[:1])
        jax.debug.callback(lambda k: ran.append(int(k)), k)
        return x_t

    shown = Partial(experts.show, Partial(network), edges, jnp.arange(4))
    how = {"schedule": SCHEDULE, "prediction": predictions.x0(), "scalar_times": True}
    denoise = guidance.cfg(make_denoise(shown, **how), 9, 2.0)
    ts, keys = jnp.linspace(1, 0, 9), jax.random.split(jax.random.key(0), 2)
    labels = jnp.array([0, 1])
    sampling.sample(keys, denoise, ddim.make(SCHEDULE), ts, jnp.ones((2, 3)), labels)
    jax.effects_barrier()
    assert sorted(ran) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_an_example_trains_the_network_of_its_time_alone():
    edges = experts.make_edges(times.uniform(SCHEDULE), 3)

    def total(factors):
        c = coeffs(SCHEDULE, jnp.array([0.5, 0.4]))
        return experts.show(
            times_a_number, edges, factors, jnp.ones((2, 1)), c, 0.0
        ).sum()

    chex.assert_trees_all_equal(jax.grad(total)(jnp.ones(3)), jnp.array([0.0, 2.0, 0]))


def test_networks_start_from_different_parameters():
    made = experts.init(
        lambda key: {"w": jax.random.normal(key, (2,))}, 3, jax.random.key(0)
    )
    chex.assert_shape(made["w"], (3, 2))
    assert len(np.unique(made["w"])) == 6
