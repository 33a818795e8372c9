"""Known values: a joint Gaussian's own conditional, bridges by hand, law 1."""

import importlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff import rng
from jaxdiff.diffusion import editing, grids, noises, sampling, schedules
from jaxdiff.diffusion.posterior import posterior
from jaxdiff.diffusion.solvers import ddim, ddpm
from jaxdiff.diffusion.types import Denoised

SCHEDULE = schedules.cosine()
MEAN = np.array([0.3, -0.5, 0.2])
ROOT = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [-0.5, 0.3, 0.7]])
COV = ROOT @ ROOT.T
KNOWN, VALUES = np.array([True, False, False]), np.array([1.5, 99.0, -99.0])
# the regression of the other two on the first, by the textbook
SLOPE = COV[1:, 0] / COV[0, 0]
GIVEN_MEAN = MEAN[1:] + SLOPE * (1.5 - MEAN[0])
GIVEN_COV = COV[1:, 1:] - np.outer(SLOPE, COV[0, 1:])


def gaussian(schedule, x_t, t, cond):
    """E[x0 | x_t] of N(MEAN, COV); x_t f[b, 3], t f[] or f[b]."""
    del cond
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    mean, cov = jnp.asarray(MEAN, x_t.dtype)[None], jnp.asarray(COV, x_t.dtype)
    total = alpha**2 * cov + sigma**2 * jnp.eye(3, dtype=x_t.dtype)
    return Denoised(mean + alpha * (x_t - alpha * mean) @ jnp.linalg.solve(total, cov))


def draw(edit, num, *, solver=None, steps=100, seed=0, schedule=SCHEDULE):
    seeds = rng.split_by(jax.random.key(seed), jnp.arange(num))
    denoise = Partial(gaussian, schedule)
    if edit is not None:
        denoise = edit(denoise, schedule, jnp.asarray(VALUES), jnp.asarray(KNOWN))
    x_T = sampling.init_noise(seeds, (3,), schedule=schedule, noise=noises.normal())
    ts = jnp.asarray(grids.uniform(schedule, steps), x_T.dtype)
    solver = solver or ddpm.make(schedule)
    return np.asarray(sampling.sample(seeds, denoise, solver, ts, x_T))


@jax.jit
def x0_of(denoise, x_t, t):
    """One program for all masks, values and times."""
    return denoise(x_t, t, None).x0


# --- against the closed form ---


@pytest.mark.parametrize("curve", ["cosine", "linear_mix", "edm", "linear_beta"])
def test_regression_is_the_conditional_expectation_itself(curve, x64):
    """Equation 5 at any x_t: E[x0 | x_t, y] of the joint Gaussian of (x0, x_t)."""
    schedule = getattr(schedules, curve)()
    x_t = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)))
    for known in ([0], [1, 2], [0, 2]):
        mask = np.isin(np.arange(3), known)
        y, free = np.array([1.5, -0.4, 0.8]), ~mask
        for time in (0.2, 0.5, 0.8):
            t = jnp.asarray(time)
            alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
            # given x0[known] the rest is Gaussian: condition, then see x_t[free]
            gain = COV[np.ix_(free, mask)] @ np.linalg.inv(COV[np.ix_(mask, mask)])
            mean = MEAN[free] + gain @ (y - MEAN)[mask]
            cov = COV[np.ix_(free, free)] - gain @ COV[np.ix_(mask, free)]
            total = alpha**2 * cov + sigma**2 * np.eye(free.sum())
            seen = np.asarray(x_t)[:, free] - alpha * mean
            exact = mean + alpha * seen @ np.linalg.solve(total, cov)
            edit = editing.regress()
            denoise = edit(Partial(gaussian, schedule), schedule, y, mask)
            got = np.asarray(x0_of(denoise, x_t, t))
            chex.assert_trees_all_close(got[:, free], exact, rtol=1e-6, atol=1e-6)
            chex.assert_trees_all_equal(got[:, mask], np.tile(y[mask], (5, 1)))


NUM = 2000
# of the mean of NUM, by the true covariance
ERROR = np.sqrt(np.diag(GIVEN_COV) / NUM)


@pytest.fixture(scope="module")
def plain():
    return draw(editing.replace(), NUM, steps=50)


@pytest.mark.parametrize("solver", [ddpm.make(SCHEDULE), ddim.make(SCHEDULE)])
def test_samples_of_regression_have_the_conditionals_mean_and_covariance(solver):
    x = draw(editing.regress(), NUM, solver=solver, steps=100)
    chex.assert_trees_all_equal(x[:, 0], np.full(NUM, 1.5, np.float32))
    assert np.abs((x[:, 1:].mean(0) - GIVEN_MEAN) / ERROR).max() < 4
    # each entry of a sample covariance, by Wishart; 6 % for 100 steps' own error
    var = np.diag(GIVEN_COV)
    spread = np.sqrt((np.outer(var, var) + GIVEN_COV**2) / NUM)
    off = np.abs(np.cov(x[:, 1:].T) - GIVEN_COV)
    assert (off < 4 * spread + 0.06 * np.sqrt(np.outer(var, var))).all(), off / spread


def test_plain_replacement_hears_too_little(plain):
    """Equation 3: what is known moves the rest the right way, and not far enough."""
    chex.assert_trees_all_equal(plain[:, 0], np.full(NUM, 1.5, np.float32))
    share = (plain[:, 1:].mean(0) - MEAN[1:]) / (GIVEN_MEAN - MEAN[1:])
    assert ((0.1 < share) & (share < 0.9)).all(), share
    assert (np.abs(plain[:, 1:].mean(0) - GIVEN_MEAN) > 10 * ERROR).all()


def test_resampling_takes_the_bias_away(plain):
    bias = [np.abs(plain[:, 1:].mean(0) - GIVEN_MEAN).max()]
    for repeats in (4, 16):
        solver = editing.resample(ddpm.make(SCHEDULE), SCHEDULE, repeats)
        x = draw(editing.replace(), 1000, solver=solver, steps=50)
        chex.assert_trees_all_equal(x[:, 0], np.full(1000, 1.5, np.float32))
        bias.append(np.abs(x[:, 1:].mean(0) - GIVEN_MEAN).max())
    assert bias[1] < 0.5 * bias[0], bias
    assert bias[2] < 0.1 * np.abs(GIVEN_MEAN - MEAN[1:]).max()


def test_resampling_leaves_a_law_that_is_right_as_it_is():
    """Nothing known: to go up by the forward step and down again keeps the marginal."""
    solver = editing.resample(ddpm.make(SCHEDULE), SCHEDULE, 3)
    x = draw(None, NUM, solver=solver, steps=100)
    assert np.abs((x.mean(0) - MEAN) / np.sqrt(np.diag(COV) / NUM)).max() < 4
    var = np.diag(COV)
    spread = np.sqrt((np.outer(var, var) + COV**2) / NUM)
    assert (np.abs(np.cov(x.T) - COV) < 4 * spread + 0.06).all()


def test_known_coordinates_walk_the_forward_process_backwards():
    """Equation 2: at every t, x_t[m] ~ N(alpha y, sigma^2), and x_s, x_t as forward."""
    seeds = rng.split_by(jax.random.key(5), jnp.arange(NUM))
    args = (
        Partial(gaussian, SCHEDULE),
        SCHEDULE,
        jnp.asarray(VALUES),
        jnp.asarray(KNOWN),
    )
    x_T = sampling.init_noise(seeds, (3,), schedule=SCHEDULE, noise=noises.normal())
    ts = jnp.asarray(grids.uniform(SCHEDULE, 10))
    solver = ddpm.make(SCHEDULE)
    _, trace = sampling.sample(
        seeds, editing.replace()(*args), solver, ts, x_T, trace=True
    )
    alpha, sigma = np.asarray(SCHEDULE.alpha(ts)), np.asarray(SCHEDULE.sigma(ts))
    z = (np.asarray(trace.x_t)[..., 0] - 1.5 * alpha[:-1, None]) / sigma[:-1, None]
    assert np.abs(z.mean(1)).max() < 4 / np.sqrt(NUM)
    assert np.abs(z.var(1) - 1).max() < 4 * np.sqrt(2 / NUM)
    # the noises of two times correlate as those of one forward path do
    for i, j in ((2, 3), (4, 8)):
        forward = alpha[i] / alpha[j] * sigma[j] / sigma[i]
        assert abs((z[i] * z[j]).mean() - forward) < 4 * np.sqrt(2 / NUM)


# --- by hand ---


def constant(x_t, t, cond):
    del t, cond
    full = jnp.full_like(x_t, 0.25)
    return Denoised(full, var_frac=2 * full, eps=3 * full, mean_shift=4 * full)


@pytest.mark.parametrize("shape", [(2, 3), (2, 4, 3)])
def test_replacement_by_hand(shape):
    """Values of one example or of all; known ones have no shift and small variance."""
    one = jnp.arange(np.prod(shape[1:]), dtype=jnp.float32).reshape(shape[1:])
    mask = jnp.array([1, 0, 1])
    every = jnp.stack([one, one])
    for values in (one, every):
        denoise = editing.replace()(Partial(constant), SCHEDULE, values, mask)
        den = denoise(jnp.ones(shape), jnp.array(0.5), None)
        m = np.broadcast_to(np.array([True, False, True]), shape)
        chex.assert_trees_all_equal(den.x0, np.where(m, every, 0.25))
        chex.assert_trees_all_equal(den.var_frac, np.where(m, 0.0, 0.5))
        chex.assert_trees_all_equal(den.mean_shift, np.where(m, 0.0, 1.0))
        assert den.eps is None  # it follows from x0


def test_a_strong_ridge_is_replacement(x64):
    x_t, t = jnp.asarray(np.random.default_rng(1).normal(size=(4, 3))), jnp.array(0.5)
    args = Partial(gaussian, SCHEDULE), SCHEDULE, VALUES, KNOWN
    strong = jax.jit(editing.regress(1e9)(*args))(x_t, t, None).x0
    plain = editing.replace()(*args)(x_t, t, None).x0
    chex.assert_trees_all_close(strong, plain, atol=1e-6, rtol=1e-7)


def test_no_signal_means_no_shift():
    schedule, x = schedules.linear_mix(), jnp.ones((2, 3))  # alpha(1) is 0
    args = Partial(gaussian, schedule), schedule, VALUES, KNOWN
    for ridge in (0.0, 1.0):
        x0 = jax.jit(editing.regress(ridge)(*args))(x, jnp.ones(()), None).x0
        chex.assert_trees_all_close(x0, np.tile([1.5, *MEAN[1:]], (2, 1)), rtol=1e-6)


@pytest.mark.parametrize("name", ["linear_mix", "edm", "linear_beta", "cosine"])
def test_without_noise_regression_moves_nothing(name):
    """At t = 0, x0 is x_t, but for what is given."""
    schedule = getattr(schedules, name)()
    x = jnp.array([[0.3, -0.4, 0.1], [1.0, 2.0, 3.0]])
    mask = jnp.array([[1.0, 0, 0]])
    args = Partial(lambda x, t, cond: Denoised(x)), schedule, x + 1, mask
    x0 = editing.regress()(*args)(x, jnp.zeros(()), None).x0
    chex.assert_trees_all_close(x0, x + mask, rtol=1e-6)


def test_each_repeat_renoises_by_the_forward_transition():
    """A solver that only scales: x_s = 2 x; three repeats, each z by its own key."""

    def step(denoise, noise, x, t, s, state):
        return 2 * x, state + 1

    t, s, x = jnp.array(0.6), jnp.array(0.5), jnp.ones((2, 3))
    doubling = sampling.make_solver(Partial(step), Partial(lambda x: jnp.zeros(())))
    solver = editing.resample(doubling, SCHEDULE, 3)
    seeds = jax.random.split(jax.random.key(0), 2)
    noise = sampling.make_step_noise(seeds, (3,))
    got, state = solver.step(lambda *_: None, noise, x, t, s, solver.init(x))
    by_hand = x
    for j in range(2):
        z = np.stack(
            [jax.random.normal(jax.random.fold_in(k, 2 * j + 1), (3,)) for k in seeds]
        )
        ratio = float(SCHEDULE.alpha(t) / SCHEDULE.alpha(s))
        beta = float(SCHEDULE.sigma(t)) ** 2 - (ratio * float(SCHEDULE.sigma(s))) ** 2
        assert beta == pytest.approx(float(posterior(SCHEDULE, t, s).large), rel=1e-4)
        by_hand = ratio * 2 * by_hand + np.sqrt(beta) * z
    chex.assert_trees_all_close(got, 2 * by_hand, rtol=1e-4)
    assert state == 1  # the memory is that before the step, moved on once


# --- laws ---


@pytest.mark.parametrize("name", editing.__all__)
def test_an_image_depends_on_its_seed_alone(name):
    edit = getattr(editing, name)()
    solver = editing.resample(ddpm.make(SCHEDULE), SCHEDULE, 2)
    whole = draw(edit, 6, solver=solver, steps=5)
    part = draw(edit, 2, solver=solver, steps=5)
    chex.assert_trees_all_close(part, whole[:2], atol=1e-5, rtol=1e-7)
    assert len(np.unique(whole[:, 1].round(4))) == 6


@pytest.mark.parametrize("name", editing.__all__)
def test_every_solver_ends_on_what_is_known(name, inner_solver):
    home = importlib.import_module(f"jaxdiff.diffusion.solvers.{inner_solver}")
    edit = getattr(editing, name)()
    x = draw(edit, 3, solver=home.make(SCHEDULE), steps=4)
    chex.assert_trees_all_close(x[:, 0], np.full(3, 1.5), rtol=1e-6)
    assert np.isfinite(x).all()


def test_repeats_count_as_calls():
    solver = editing.resample(ddpm.make(SCHEDULE), SCHEDULE, 7)
    assert sampling.count_nfe(solver, jnp.linspace(1, 0, 4)) == 3 * 7


def test_mistakes():
    with pytest.raises(ValueError, match="ridge must be at least 0, got ridge=-1"):
        editing.regress(-1.0)
    with pytest.raises(ValueError, match="resample must be at least 1, got 0"):
        editing.resample(ddpm.make(SCHEDULE), SCHEDULE, 0)
    denoise = editing.regress()(Partial(constant), SCHEDULE, jnp.ones((4, 3)), 1)
    with pytest.raises(ValueError, match=r"is for rows .*use replace"):
        denoise(jnp.ones((2, 4, 3)), jnp.array(0.5), None)
