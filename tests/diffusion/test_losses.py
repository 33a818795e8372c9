"""The training loss by hand: distances, factor, draws, and the hybrid's bound."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff import rng
from jaxdiff.diffusion import losses, noises, predictions, schedules, times, weights
from jaxdiff.diffusion.likelihood import levels, step_bpd
from jaxdiff.diffusion.losses import Objective, denoising_loss
from jaxdiff.diffusion.types import Denoised

X0 = jnp.linspace(-0.9, 0.9, 24).reshape(4, 2, 3)
KEYS = rng.batch_keys(jax.random.key(5), jnp.arange(4), 4)


def toy_network(x_t, c, cond):
    """Nonlinear, and different for each time and condition."""
    bend = c.log_snr if cond is None else c.log_snr + cond
    return jnp.tanh(x_t + 0.1 * bend[:, None, None])


def objective(**fields):
    schedule = fields.pop("schedule", schedules.cosine())
    given = {
        "schedule": schedule,
        "prediction": predictions.v(),
        "times": times.uniform(schedule),
        "weight": weights.native(),
        "distance": losses.mse(),
        "noise": noises.normal(),
        "decoder": levels(),
    }
    return Objective(**{**given, **fields})


def at(*ts):
    return Partial(lambda given, u: given, jnp.array(ts))


# --- distances ---


def test_distances_by_hand():
    error = jnp.array([-3.0, -0.5, 0.0, 0.25, 2.0])
    chex.assert_trees_all_equal(
        losses.mse()(error), np.asarray([9, 0.25, 0, 0.0625, 4])
    )
    chex.assert_trees_all_equal(losses.mae()(error), np.asarray([3, 0.5, 0, 0.25, 2]))
    chex.assert_trees_all_equal(
        losses.huber()(error), np.asarray([2.5, 0.125, 0, 0.03125, 1.5])
    )
    # delta .5: .5 (|e| - .25) beyond it
    expected = [1.375, 0.125, 0, 0.03125, 0.875]
    chex.assert_trees_all_equal(losses.huber(0.5)(error), np.array(expected))
    with pytest.raises(ValueError, match=r"delta=0\.0"):
        losses.huber(0.0)


# --- the loss ---


@pytest.mark.parametrize("distance", losses.__all__)
@pytest.mark.parametrize("noise", noises.__all__)
def test_the_loss_by_hand(distance, noise):
    cond = jnp.array([0.0, 1.0, 2.0, 3.0])
    goal = objective(
        distance=getattr(losses, distance)(),
        noise=getattr(noises, noise)(),
        weight=weights.min_snr(5.0),
    )
    got, metrics = denoising_loss(KEYS, toy_network, X0, cond, goal)
    # by hand, from the same draws, one example at a time in float64 numpy
    random = {"normal": jax.random.normal, "uniform": jax.random.uniform}[noise]
    rate = {"mse": np.square, "mae": np.abs, "huber": huber_by_hand}[distance]
    start, end = np.arctan(np.exp(-10)), np.arctan(np.exp(10))
    for i in range(4):
        t = 1 - float(KEYS.stratum[i])
        angle = start + t * (end - start)
        alpha, sigma = np.cos(angle), np.sin(angle)
        key = jax.random.fold_in(KEYS.key[i], 1)
        eps = np.asarray(random(key, (2, 3)), np.float64)
        x0 = np.asarray(X0[i], np.float64)
        log_snr = -2 * np.log(np.tan(angle))
        x_t = alpha * x0 + sigma * eps
        out = np.tanh(x_t + 0.1 * (log_snr + float(cond[i])))
        # v's native weight of the x0 error is 1 / sigma^2
        factor = min(np.exp(log_snr), 5.0) * sigma**2
        expected = factor * np.mean(rate(out - (alpha * eps - sigma * x0)))
        assert float(got[i]) == pytest.approx(expected, rel=2e-5)
        # whatever the distance and the weight: x0 = alpha x_t - sigma v
        off = np.mean(np.abs(alpha * x_t - sigma * out - x0))
        assert float(metrics["x0_mae"][i]) == pytest.approx(off, rel=2e-5)


def huber_by_hand(error):
    size = np.abs(error)
    return np.where(size < 1, size**2 / 2, size - 0.5)


def test_an_examples_loss_is_its_own():
    goal = objective(stratified=False)
    whole = denoising_loss(KEYS, toy_network, X0, None, goal)[0]
    other = X0.at[0].set(100.0)
    chex.assert_trees_all_equal(
        denoising_loss(KEYS, toy_network, other, None, goal)[0][1:], whole[1:]
    )
    part = jnp.array([3, 1])
    keys = jax.tree.map(lambda leaf: leaf[part], KEYS)
    got = denoising_loss(keys, toy_network, X0[part], None, goal)[0]
    chex.assert_trees_all_close(got, whole[part], rtol=1e-6)


def test_stratified_times_are_the_strata_and_others_the_keys_own():
    seen = []

    def network(x_t, c, cond):
        seen.append(np.asarray(c.t))
        return x_t

    denoising_loss(KEYS, network, X0, None, objective())
    chex.assert_trees_all_close(seen[0], 1 - np.asarray(KEYS.stratum), rtol=1e-6)
    assert sorted(np.floor(4 * seen[0] * (1 - 1e-6)).astype(int)) == [0, 1, 2, 3]
    denoising_loss(KEYS, network, X0, None, objective(stratified=False))
    draws = [jax.random.uniform(jax.random.fold_in(key, 0)) for key in KEYS.key]
    chex.assert_trees_all_close(seen[1], 1 - np.array(draws), rtol=1e-6)


# --- the hybrid's bound ---

LINEAR = schedules.linear_beta()


def linear_alpha_bar(i):
    betas = 1e-4 + (0.02 - 1e-4) * np.arange(1000) / 999
    return np.prod(1 - betas[: i + 1])


def bound_by_hand(i, x0, x_t, x0_hat, frac):
    """KL of the two posteriors of step i > 0 in bits, averaged over values."""
    bar, before = linear_alpha_bar(i), linear_alpha_bar(i - 1)
    beta = 1 - bar / before
    small = beta * (1 - before) / (1 - bar)
    of_x0 = np.sqrt(before) * beta / (1 - bar)
    variance = beta**frac * small ** (1 - frac)
    gap = (of_x0 * (x0_hat - x0)) ** 2  # x_t's share cancels
    kl = 0.5 * (np.log(variance / small) + (small + gap) / variance - 1)
    return np.mean(kl) / np.log(2)


def nll_by_hand(x0, mean, log_std):
    """Tanh-cdf likelihood of levels away from the ends, bits."""

    def cdf(z):
        return 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))

    scale = np.exp(-log_std)
    mass = cdf((x0 - mean + 1 / 255) * scale) - cdf((x0 - mean - 1 / 255) * scale)
    return -np.mean(np.log(mass)) / np.log(2)


def test_the_bound_by_hand(x64):
    level = (np.array([[100.0, 120, 131], [90, 140, 127]]) / 127.5 - 1)[None]
    x_t, x0_hat = level * 0.8 + 0.1, level + 0.005
    frac = np.full(level.shape, 0.3)
    denoised = Denoised(jnp.asarray(x0_hat), jnp.asarray(frac))
    bpd = jax.jit(step_bpd)

    def bound(i):
        t, s = jnp.array([(i + 1) / 1000]), jnp.array([i / 1000])
        x0 = jnp.asarray(level)
        return float(bpd(LINEAR, t, s, x0, jnp.asarray(x_t), denoised, levels())[0])

    for i in (1, 500, 999):
        expected = bound_by_hand(i, level, x_t, x0_hat, 0.3)
        assert bound(i) == pytest.approx(expected, rel=1e-6)
    # the first step is the likelihood of x0's level, with the clipped variance
    log_var = 0.3 * np.log(1e-4) + 0.7 * -9.816725
    expected = nll_by_hand(level, x0_hat, 0.5 * log_var)
    assert bound(0) == pytest.approx(expected, rel=1e-5)


def test_the_hybrid_loss_adds_the_bound_with_its_weight(x64):
    i, weight = 300, 0.001  # the published one: T times it is 1
    keys = jax.tree.map(lambda leaf: leaf[:1], KEYS)
    x0 = X0[:1].astype(jnp.float64)
    seen = []

    def network(x_t, c, cond):
        seen.append(np.asarray(x_t))
        return jnp.concatenate([0.5 * x_t, jnp.full_like(x_t, -0.4)], axis=-1)

    goal = objective(
        schedule=LINEAR,
        prediction=predictions.eps(),
        times=at((i + 1) / 1000),
        learned_variance=True,
    )
    plain, metrics = denoising_loss(keys, network, x0, None, goal)
    hybrid = denoising_loss(
        keys, network, x0, None, goal._replace(bound_weight=weight, bound_steps=1000)
    )[0]
    bar, x_t = linear_alpha_bar(i), seen[0]
    x0_hat = (x_t - np.sqrt(1 - bar) * 0.5 * x_t) / np.sqrt(bar)
    expected = 1000 * weight * bound_by_hand(i, np.asarray(x0), x_t, x0_hat, 0.3)
    chex.assert_trees_all_close(hybrid - plain, np.asarray([expected]), rtol=1e-6)
    eps = (x_t - np.sqrt(bar) * np.asarray(x0)) / np.sqrt(1 - bar)
    chex.assert_trees_all_close(
        plain, np.asarray([np.mean((0.5 * x_t - eps) ** 2)]), rtol=1e-9
    )
    off = np.mean(np.abs(x0_hat - np.asarray(x0)))
    chex.assert_trees_all_close(metrics["x0_mae"], np.asarray([off]), rtol=1e-9)


@pytest.mark.parametrize("i", [0, 1])
def test_the_bound_teaches_the_variance_and_not_the_mean(i):
    goal = objective(
        schedule=LINEAR,
        prediction=predictions.eps(),
        times=at(*[(i + 1) / 1000] * 4),
        learned_variance=True,
        bound_steps=1000,
    )

    def slopes(bound_weight):
        def loss(mean, spread):
            def network(x_t, c, cond):
                halves = mean * x_t, spread * jnp.ones_like(x_t)
                return jnp.concatenate(halves, axis=-1)

            weighted = goal._replace(bound_weight=bound_weight)
            return denoising_loss(KEYS, network, X0, None, weighted)[0].sum()

        return [float(g) for g in jax.jit(jax.grad(loss, (0, 1)))(0.5, 0.2)]

    (mean, spread), (mean_plain, spread_plain) = slopes(1.0), slopes(0.0)
    assert mean == mean_plain != 0
    assert spread_plain == 0 and abs(spread) > 1e-3


def test_the_bound_needs_a_learned_variance():
    t = jnp.array([0.5])
    with pytest.raises(ValueError, match="needs a variance"):
        step_bpd(LINEAR, t, t - 0.1, X0[:1], X0[:1], Denoised(X0[:1]), levels())
