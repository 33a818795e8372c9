"""Averages: warm-ups and widths in closed form, the update by hand."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.train import ema


@pytest.mark.parametrize(
    ("exponent", "n", "beta"),
    [
        # 1 - (1 + n)^-p = .999 at 1000^(1/p) - 1 and .9999 at 10000^(1/p) - 1
        (0.75, 1e4 - 1, 0.999),
        (0.75, 10 ** (16 / 3) - 1, 0.9999),
        (2 / 3, 10**4.5 - 1, 0.999),
        (2 / 3, 1e6 - 1, 0.9999),
    ],
)
def test_warmup_reaches_its_decay_at_the_step_of_the_formula(x64, exponent, n, beta):
    del x64
    decay = ema.warmup(decay=1 - 1e-9, exponent=exponent)
    chex.assert_trees_all_close(decay(jnp.asarray(n)), beta, rtol=1e-9)


def test_warmup_stops_at_its_decay():
    decay = ema.warmup(decay=0.9, exponent=0.75)
    assert float(decay(jnp.asarray(10**6))) == np.float32(0.9)
    chex.assert_trees_all_close(decay(jnp.asarray(1)), 1 - 2**-0.75, rtol=1e-6)


def test_half_life_of_edm():
    decay = ema.half_life(images=500_000.0, batch_size=512)
    # while .05 of the images seen is less: .5^(20 / n); after 19,532 steps constant
    for n in (1, 100, 10_000):
        chex.assert_trees_all_close(decay(jnp.asarray(n)), 0.5 ** (20 / n), rtol=1e-6)
    after = 0.5 ** (512 / 500_000)
    chex.assert_trees_all_close(decay(jnp.asarray(19_532)), after, rtol=1e-7)
    chex.assert_trees_all_close(decay(jnp.asarray(10**6)), after, rtol=1e-7)


def test_constant_halves():
    beta = ema.constant(decay=0.5)(jnp.asarray(3))
    average = ema.update(
        {"w": jnp.array([0.0, 8.0])}, {"w": jnp.array([4.0, 0.0])}, beta
    )
    chex.assert_trees_all_equal(average["w"], np.asarray([2.0, 4.0]))


def test_update_by_hand():
    # .75 e + .25 p
    old = {"a": jnp.array([4.0, -8.0]), "b": jnp.array(1.0)}
    new = {"a": jnp.array([8.0, 0.0]), "b": jnp.array(5.0)}
    average = ema.update(old, new, jnp.asarray(0.75))
    chex.assert_trees_all_equal(average["a"], np.asarray([5.0, -6.0]))
    chex.assert_trees_all_equal(average["b"], 2.0)


@pytest.mark.parametrize(
    ("width", "gamma"), [(0.05, 16.972199), (0.10, 6.937204), (0.13, 4.603597)]
)
def test_gamma_of_width(width, gamma):
    got = ema.gamma_of(width)
    chex.assert_trees_all_close(got, gamma, atol=5e-7, rtol=1e-7)
    # the standard deviation of the density (g + 1) t^g on [0, 1]
    variance = (got + 1) / ((got + 2) ** 2 * (got + 3))
    chex.assert_trees_all_close(variance**0.5, width, rtol=1e-9)


@pytest.mark.parametrize("width", [0.05, 0.1, 0.2])
def test_power_gives_a_profile_of_its_width(x64, width):
    del x64
    n, decay = 2000, ema.power(width=width)
    steps = jnp.arange(1, n + 1)
    start = jnp.zeros(n).at[0].set(1e6)  # must be forgotten: beta(1) = 0

    def body(average, i):
        one_hot = (steps == i).astype(float)
        return ema.update(average, one_hot, decay(i)), None

    weights = np.asarray(jax.lax.scan(body, start, steps)[0])
    # by induction (i^(g+1) - (i-1)^(g+1)) / n^(g+1)
    edges = (np.arange(n + 1) / n) ** (ema.gamma_of(width) + 1)
    chex.assert_trees_all_close(weights, np.diff(edges), atol=1e-13, rtol=1e-7)
    at = (np.arange(n) + 0.5) / n
    mean = (weights * at).sum()
    spread = np.sqrt((weights * (at - mean) ** 2).sum())
    chex.assert_trees_all_close(spread, width, rtol=1e-4)


@pytest.mark.parametrize(
    ("width", "most"), [(0.05, 1e-6), (0.10, 1e-6), (0.075, 0.013), (0.15, 0.034)]
)
def test_reconstruct_other_widths_from_snapshots(width, most):
    """Snapshots at every 1/8 of training of two widths; error |got - goal| / |goal|."""
    times = np.repeat(np.arange(1, 9) / 8, 2)
    gammas = np.tile([ema.gamma_of(0.05), ema.gamma_of(0.10)], 8)
    gamma = ema.gamma_of(width)
    weights = ema.reconstruct(times, gammas, 1.0, gamma)
    t = (np.arange(100_000) + 0.5) / 100_000

    def profile(end, g):
        return np.where(t <= end, (g + 1) * (t / end) ** g / end, 0.0)

    goal = profile(1.0, gamma)
    got = sum(
        w * profile(end, g) for w, end, g in zip(weights, times, gammas, strict=True)
    )
    error = np.linalg.norm(got - goal) / np.linalg.norm(goal)
    assert error <= most
    if most > 1e-3:  # and the facts' figure is not a loose bound
        assert error > 0.8 * most


def test_weights_sum_to_one_and_agree_with_a_second_derivation():
    """Least squares of the profiles themselves, sampled at many times."""
    gen, t = np.random.default_rng(0), (np.arange(4000) + 0.5) / 4000
    for _ in range(100):
        times = np.sort(gen.uniform(0.2, 1.0, gen.integers(1, 6)))
        widths = gen.choice([0.03, 0.05, 0.1, 0.15], 2, replace=False)
        width = gen.uniform(0.05, 0.2)
        ends = np.repeat([*times, 1.0], 2)
        gammas = np.tile([*map(ema.gamma_of, widths)], len(times) + 1)
        weights = ema.reconstruct(ends, gammas, 1.0, ema.gamma_of(width))
        assert abs(weights.sum() - 1) < 1e-12

        def profile(end, g, t=t):
            return np.where(t <= end, (g + 1) * (t / end) ** g / end, 0.0)

        columns = np.stack([*map(profile, ends, gammas)], 1)
        goal = profile(1.0, ema.gamma_of(width))
        other = np.linalg.lstsq(columns, goal, rcond=None)[0]
        # near snapshots nearly replace one another: what they give together counts
        got, expected = columns @ weights, columns @ (other / other.sum())
        assert np.abs(got - expected).max() < 2e-2 * goal.max()


def test_before_the_first_snapshot_no_parameter_shrinks():
    """One pair of averages, and a profile far wider than both."""
    gammas = np.array([ema.gamma_of(0.05), ema.gamma_of(0.1)])
    weights = ema.reconstruct(np.ones(2), gammas, 1.0, ema.gamma_of(0.25))
    assert abs(weights.sum() - 1) < 1e-12


def test_reconstruct_weighs_real_averages():
    """The weights, applied to real averages, give the average of another width."""
    n, rng = 400, np.random.default_rng(0)
    values = rng.normal(size=n).cumsum()

    def average(end, g):
        weights = np.diff((np.arange(end + 1) / end) ** (g + 1))
        return weights @ values[:end]

    ends = np.repeat(np.arange(1, 9) * n // 8, 2)
    gammas = np.tile([ema.gamma_of(0.05), ema.gamma_of(0.10)], 8)
    stored = np.array([average(e, g) for e, g in zip(ends, gammas, strict=True)])
    goal = ema.gamma_of(0.075)
    weights = ema.reconstruct(ends, gammas, float(n), goal)
    chex.assert_trees_all_close(weights.sum(), 1.0, atol=1e-12, rtol=1e-7)
    assert abs(weights @ stored - average(n, goal)) < 0.02 * values.std()


@pytest.mark.parametrize(
    "make",
    [
        lambda: ema.constant(decay=1.0),
        lambda: ema.warmup(decay=-0.1),
        lambda: ema.warmup(exponent=0.0),
        lambda: ema.half_life(images=0.0),
        lambda: ema.power(width=0.3),  # a density on [0, 1] is at most .2887 wide here
    ],
)
def test_fields_out_of_range(make):
    with pytest.raises(ValueError, match="must be"):
        make()
