"""Linear inverse problems: pseudo-inverses, a Gaussian's posterior, y = A x."""

import importlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff import rng
from jaxdiff.diffusion import (
    editing,
    grids,
    inverse_problems,
    noises,
    sampling,
    schedules,
)
from jaxdiff.diffusion.inverse_problems import agree, grey, masked, pooled
from jaxdiff.diffusion.solvers import ddpm
from jaxdiff.diffusion.types import Denoised

SCHEDULE, SHAPE = schedules.cosine(), (4, 4, 3)
MASK = np.random.default_rng(1).integers(0, 2, SHAPE).astype(np.float32)
PROBLEMS = {
    "mask": masked(MASK),
    "pool": pooled(2),
    "grey": grey(np.array([0.3, 0.6, 0.1], np.float32)),
}


@pytest.fixture(params=PROBLEMS)
def linear(request):
    return PROBLEMS[request.param]


def matrix(linear):
    """A as numbers, f[numbers of y, numbers of x0], for 4x4x3 images."""
    eye = jnp.eye(int(np.prod(SHAPE))).reshape(-1, *SHAPE)
    return np.asarray(linear.apply(eye)).reshape(len(eye), -1).T


def test_back_is_the_pseudo_inverse(linear):
    a, x = matrix(linear), np.random.default_rng(2).normal(size=(2, *SHAPE))
    y = linear.apply(jnp.asarray(x, jnp.float32))
    back = np.asarray(linear.back(y)).reshape(2, -1)
    exact = np.asarray(y).reshape(2, -1) @ np.linalg.pinv(a).T
    chex.assert_trees_all_close(back, exact, atol=1e-6, rtol=1e-7)
    again = linear.apply(linear.back(y))
    chex.assert_trees_all_close(again, y, atol=1e-6, rtol=1e-7)


def test_problems_by_hand():
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    chex.assert_trees_all_equal(
        pooled(2).apply(x)[0, ..., 0], np.asarray([[2.5, 4.5], [10.5, 12.5]])
    )
    y = pooled(4).back(jnp.full((1, 1, 1, 1), 3.0))
    chex.assert_trees_all_equal(y, np.full((1, 4, 4, 1), 3.0))
    colour = jnp.asarray(np.array([[[[1.0, 2.0, 4.0]]]]))
    even = grey(np.full(3, 1 / 3))
    chex.assert_trees_all_close(
        even.apply(colour), np.asarray([[[[7 / 3]]]]), rtol=1e-6
    )
    chex.assert_trees_all_close(
        even.back(jnp.ones((1, 1, 1, 1))), np.ones((1, 1, 1, 3)), rtol=1e-7
    )


# --- against the closed form ---


def gaussian(cov, schedule, x_t, t, cond):
    """E[x0 | x_t] of N(0, cov), over all of an image's numbers."""
    del cond
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    cov = jnp.asarray(cov, x_t.dtype)
    total = alpha**2 * cov + sigma**2 * jnp.eye(len(cov), dtype=x_t.dtype)
    flat = x_t.reshape(len(x_t), -1)
    return Denoised((alpha * flat @ jnp.linalg.solve(total, cov)).reshape(x_t.shape))


def posterior_mean(cov, a, y, x_t, alpha, sigma):
    """E[x0 | x_t, A x0 = y], by conditioning N(0, cov) on both."""
    seen = np.concatenate([a, alpha * np.eye(len(cov))])
    noise = np.diag([0.0] * len(a) + [sigma**2] * len(cov))
    both = np.concatenate([y, x_t], axis=1)
    # A of a mask has rows of nothing
    gain = cov @ seen.T @ np.linalg.pinv(seen @ cov @ seen.T + noise, rcond=1e-12)
    return both @ gain.T


@pytest.mark.parametrize("curve", ["cosine", "linear_mix", "edm"])
@pytest.mark.parametrize("variance", [1.0, 0.3])
def test_pigdm_is_the_posterior_mean_where_its_model_holds(
    linear, curve, variance, x64
):
    """What A sees has one variance, what it does not any covariance: r^2 A A^T."""
    schedule, gen = getattr(schedules, curve)(), np.random.default_rng(4)
    a = matrix(linear)
    sees = np.linalg.pinv(a) @ a
    unseen, root = np.eye(48) - sees, gen.normal(size=(48, 48)) / 5
    cov = variance * sees + unseen @ root @ root.T @ unseen
    x_t = gen.normal(size=(3, *SHAPE))
    y = linear.apply(jnp.asarray(gen.normal(size=(3, *SHAPE))))
    for t in (0.2, 0.5, 0.9):
        alpha, sigma = (float(f(jnp.asarray(t))) for f in schedule[:2])
        exact = posterior_mean(
            cov, a, np.asarray(y).reshape(3, -1), x_t.reshape(3, -1), alpha, sigma
        )
        for assumed in (variance, 0.0):  # r^2 as it is, and measured
            edit = inverse_problems.pigdm(assumed)
            denoise = edit(Partial(gaussian, cov, schedule), schedule, y, linear)
            got = denoise(jnp.asarray(x_t), jnp.asarray(t), None).x0
            chex.assert_trees_all_close(
                np.asarray(got).reshape(3, -1), exact, rtol=1e-4, atol=1e-6
            )


def test_pigdm_by_matrices(linear, x64):
    """Equation 3 written out for a Gaussian of any covariance: J is alpha C S^-1."""
    gen, a = np.random.default_rng(5), matrix(linear)
    root = gen.normal(size=(48, 48)) / 7
    cov, t = root @ root.T + 0.1 * np.eye(48), 0.4
    alpha, sigma = (float(f(jnp.asarray(t))) for f in SCHEDULE[:2])
    x_t = gen.normal(size=(2, *SHAPE))
    y = linear.apply(jnp.asarray(gen.normal(size=(2, *SHAPE))))
    j = alpha * cov @ np.linalg.inv(alpha**2 * cov + sigma**2 * np.eye(48))
    x0, back = x_t.reshape(2, -1) @ j.T, np.linalg.pinv(a)
    gap = (np.asarray(y).reshape(2, -1) - x0 @ a.T) @ back.T
    r2 = sigma**2 / (alpha**2 + sigma**2)
    x0 = x0 + sigma**2 / alpha * (gap @ j) / r2
    x0 = x0 + (np.asarray(y).reshape(2, -1) - x0 @ a.T) @ back.T
    denoise = inverse_problems.pigdm(1.0)(
        Partial(gaussian, cov, SCHEDULE), SCHEDULE, y, linear
    )
    got = denoise(jnp.asarray(x_t), jnp.asarray(t), None).x0
    chex.assert_trees_all_close(
        np.asarray(got).reshape(2, -1), x0, rtol=1e-5, atol=1e-7
    )


def test_projection_is_nearest_and_leaves_the_null_space(linear, x64):
    gen, a = np.random.default_rng(6), matrix(linear)
    x = gen.normal(size=(2, *SHAPE))
    y = linear.apply(jnp.asarray(gen.normal(size=(2, *SHAPE))))
    moved = np.asarray(agree(linear, jnp.asarray(x), y))
    chex.assert_trees_all_close(
        linear.apply(jnp.asarray(moved)), y, atol=1e-6, rtol=1e-7
    )
    shift = (moved - x).reshape(2, -1)
    unseen = np.eye(48) - np.linalg.pinv(a) @ a
    chex.assert_trees_all_close(shift @ unseen, 0, atol=1e-6, rtol=1e-7)


def test_of_a_mask_projection_is_replacement():
    gen = np.random.default_rng(7)
    x_t = jnp.asarray(gen.normal(size=(2, *SHAPE)), jnp.float32)
    y = jnp.asarray(gen.normal(size=(2, *SHAPE)), jnp.float32) * MASK[None]
    denoise, t = Partial(gaussian, np.eye(48), SCHEDULE), jnp.array(0.5)
    a = inverse_problems.project()(denoise, SCHEDULE, y, masked(MASK))(x_t, t, None)
    b = editing.replace()(denoise, SCHEDULE, y, MASK)(x_t, t, None)
    chex.assert_trees_all_close(a.x0, b.x0, atol=1e-6, rtol=1e-7)


def test_no_signal_means_no_guidance():
    schedule, linear = schedules.linear_mix(), PROBLEMS["pool"]  # alpha(1) is 0
    y = jnp.ones((2, 2, 2, 3))
    denoise = Partial(gaussian, np.eye(48), schedule)
    den = inverse_problems.pigdm()(denoise, schedule, y, linear)(
        jnp.ones((2, *SHAPE)), jnp.ones(()), None
    )
    chex.assert_trees_all_close(den.x0, np.ones((2, *SHAPE)), atol=1e-6, rtol=1e-7)


# --- laws ---


def draw(name, linear, y, solver, num=3, steps=6):
    seeds = rng.split_by(jax.random.key(0), jnp.arange(num))
    denoise = Partial(gaussian, 0.5 * np.eye(48), SCHEDULE)
    edit = getattr(inverse_problems, name)()
    denoise = edit(denoise, SCHEDULE, y[:num], linear)
    x_T = sampling.init_noise(seeds, SHAPE, schedule=SCHEDULE, noise=noises.normal())
    ts = jnp.asarray(grids.uniform(SCHEDULE, steps), x_T.dtype)
    return np.asarray(sampling.sample(seeds, denoise, solver, ts, x_T))


def test_every_solver_ends_where_y_is_right(inner_solver):
    linear = PROBLEMS["pool"]
    home = importlib.import_module(f"jaxdiff.diffusion.solvers.{inner_solver}")
    x = jnp.asarray(np.random.default_rng(8).normal(size=(3, *SHAPE)), jnp.float32)
    y = linear.apply(x)
    end = draw("pigdm", linear, y, home.make(SCHEDULE))
    chex.assert_trees_all_close(linear.apply(jnp.asarray(end)), y, atol=1e-5, rtol=1e-7)


@pytest.mark.parametrize("name", inverse_problems.__all__)
def test_an_image_depends_on_its_seed_alone(name):
    x = jnp.asarray(np.random.default_rng(9).normal(size=(5, *SHAPE)), jnp.float32)
    linear = PROBLEMS["grey"]
    y = linear.apply(x)
    whole = draw(name, linear, y, ddpm.make(SCHEDULE), num=5)
    part = draw(name, linear, y, ddpm.make(SCHEDULE), num=2)
    chex.assert_trees_all_close(part, whole[:2], atol=1e-5, rtol=1e-7)
    assert len(np.unique(whole[:, 0, 0, 0].round(4))) == 5


def test_mistakes():
    with pytest.raises(ValueError, match="variance must be at least 0"):
        inverse_problems.pigdm(-1.0)
    with pytest.raises(ValueError, match="factor must be a whole number from 2 on"):
        pooled(1)
    with pytest.raises(ValueError, match="factor 3 does not divide 4x4 images"):
        pooled(3).apply(jnp.ones((1, 4, 4, 1)))
