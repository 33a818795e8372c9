"""What networks are told of the time."""

import jax.numpy as jnp
import numpy as np

from jaxdiff.diffusion import inputs, schedules


def test_a_step_of_a_table_as_published_networks_count_it():
    schedule = schedules.cosine_beta(num_steps=4000)
    ts = jnp.array([1, 2, 4000]) / 4000
    c = schedules.coeffs(schedule, ts)
    feature = inputs.index(num_steps=4000)
    np.testing.assert_allclose(feature(c), [0, 1, 3999], atol=1e-3)
    # improved DDPM tells a network of 4,000 steps what one of 1,000 would hear
    quarter = inputs.index(num_steps=4000, scale=0.25)
    np.testing.assert_allclose(quarter(c), [0, 0.25, 999.75], atol=1e-3)


def test_noise_as_its_variance_and_its_logarithm():
    c = schedules.coeffs(schedules.cosine(), jnp.array([0.25, 0.5]))
    sine = np.sin(np.pi / 2 * np.array([0.25, 0.5]))
    np.testing.assert_allclose(inputs.variance()(c), sine**2, rtol=3e-4)
    tan = np.tan(np.pi / 2 * np.array([0.25, 0.5]))
    np.testing.assert_allclose(inputs.log_std()(c), np.log(tan) / 4, atol=1e-4)
