"""Keys: an example's draws depend on its index alone, and strata are evenly spread."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff import rng

KEY = jax.random.key(3)


def words(keys):
    return np.asarray(jax.random.key_data(keys))


def test_batch_keys_of_a_slice_are_the_slice_of_the_batchs():
    whole = rng.batch_keys(KEY, jnp.arange(12), 12)
    for part in (jnp.arange(4, 9), jnp.array([11, 0, 5])):
        keys = rng.batch_keys(KEY, part, 12)
        np.testing.assert_array_equal(words(keys.key), words(whole.key[part]))
        np.testing.assert_array_equal(keys.stratum, whole.stratum[part])


def test_split_by_is_fold_in_of_each_index():
    index = jnp.array([7, 2, 7])
    expected = [words(jax.random.fold_in(KEY, i)) for i in (7, 2, 7)]
    np.testing.assert_array_equal(words(rng.split_by(KEY, index)), expected)


def test_folded_streams_are_all_different():
    keys = rng.split_by(KEY, jnp.arange(20))
    streams = [words(keys)] + [words(rng.fold(keys, n)) for n in range(20)]
    assert len(np.unique(np.concatenate(streams), axis=0)) == 21 * 20


def test_folded_streams_are_uncorrelated():
    keys = rng.split_by(KEY, jnp.arange(50))
    draws = [rng.draw(jax.random.normal, rng.fold(keys, n), (40,)) for n in range(3)]
    correlation = np.corrcoef(np.reshape(draws, (3, -1))) - np.eye(3)
    # of 2000 values each: a standard error of 1 / sqrt(2000)
    assert np.abs(correlation).max() < 4 / 2000**0.5


def test_draw_is_one_draw_a_key():
    keys = rng.split_by(KEY, jnp.arange(3))
    got = rng.draw(jax.random.normal, keys, (2, 5))
    for i in range(3):
        np.testing.assert_array_equal(got[i], jax.random.normal(keys[i], (2, 5)))


def test_draw_takes_the_precision_in_force():
    keys = rng.split_by(KEY, jnp.arange(3))
    assert rng.draw(jax.random.normal, keys, ()).dtype == jnp.float32
    with jax.enable_x64(True):
        assert rng.draw(jax.random.normal, keys, ()).dtype == jnp.float64


@pytest.mark.parametrize("total", [1, 6, 64])
def test_strata_fill_each_equal_part_of_the_unit_interval_once(total):
    for seed in range(5):
        key = jax.random.key(seed)
        stratum = rng.batch_keys(key, jnp.arange(total), total).stratum
        stratum = np.sort(np.asarray(stratum, np.float64))
        assert 0 <= stratum[0] and stratum[-1] < 1
        # float32 sums near 1 round to 1.2e-7
        np.testing.assert_allclose(np.diff(stratum), 1 / total, atol=2.4e-7)
        assert stratum[0] < 1 / total + 2.4e-7


def test_strata_shift_from_step_to_step():
    shifts = [
        float(rng.batch_keys(jax.random.key(i), jnp.arange(1), 1).stratum[0])
        for i in range(50)
    ]
    # 50 uniform draws: each fifth of the interval is missed with probability 1e-5
    assert len({int(5 * shift) for shift in shifts}) == 5
