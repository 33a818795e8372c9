"""The time features of networks, and what else they are shown."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff.diffusion import inputs, schedules
from jaxdiff.diffusion.levels import coeffs


def test_a_step_of_a_table_as_published_networks_count_it():
    schedule = schedules.cosine_beta(num_steps=4000)
    ts = jnp.array([1, 2, 4000]) / 4000
    c = coeffs(schedule, ts)
    feature = inputs.index(num_steps=4000)
    chex.assert_trees_all_close(
        feature(c), np.asarray([0, 1, 3999]), atol=1e-3, rtol=1e-7
    )
    # improved DDPM gives a network of 4,000 steps the numbers of one of 1,000
    quarter = inputs.index(num_steps=4000, scale=0.25)
    chex.assert_trees_all_close(
        quarter(c), np.asarray([0, 0.25, 999.75]), atol=1e-3, rtol=1e-7
    )


def test_noise_as_its_variance_and_its_logarithm():
    c = coeffs(schedules.cosine(), jnp.array([0.25, 0.5]))
    sine = np.sin(np.pi / 2 * np.array([0.25, 0.5]))
    chex.assert_trees_all_close(inputs.variance()(c), sine**2, rtol=3e-4)
    tan = np.tan(np.pi / 2 * np.array([0.25, 0.5]))
    chex.assert_trees_all_close(
        inputs.log_std()(c), np.log(tan) / 4, atol=1e-4, rtol=1e-7
    )
    other = inputs.log_std(scale=1.0, unit=2.0)
    chex.assert_trees_all_close(other(c), np.log(tan / 2), atol=4e-4, rtol=1e-7)


@pytest.mark.parametrize("name", inputs.__all__)
def test_a_network_is_shown_one_time_or_a_time_for_each(name):
    """Law 10, with x_t scaled and under jit: f[b] equals each f[] by itself."""
    schedule, feature = schedules.cosine(), getattr(inputs, name)()
    ts, x_t = jnp.array([0.1, 0.5, 0.9]), jnp.arange(6.0).reshape(3, 2)

    def apply(variables, x, t, cond):
        return x * variables["params"] + t[:, None] + cond[:, None]

    shown = Partial(inputs.show, Partial(apply), feature, 0.5, jnp.asarray(2.0))
    cond = jnp.array([1.0, 2.0, 3.0])
    together = jax.jit(shown)(x_t, coeffs(schedule, ts), cond)
    for i in range(3):
        c = coeffs(schedule, ts[i])
        alone = shown(x_t[i : i + 1], c, cond[i : i + 1])
        chex.assert_trees_all_close(together[i : i + 1], alone, rtol=1e-5)
