"""Guidance: linear in its scale, by hand; the right classifier makes Bayes' rule."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff.diffusion import predictions, rules, schedules
from jaxdiff.diffusion.denoisers import make_denoise
from jaxdiff.diffusion.guidance import (
    FORMS,
    autoguidance,
    cfg,
    classifier,
    log_p_grad,
    unconditional,
)
from jaxdiff.diffusion.levels import coeffs
from jaxdiff.diffusion.predictions import make_target
from jaxdiff.diffusion.sampling import make_step_noise
from jaxdiff.diffusion.solvers import ddim, ddpm
from jaxdiff.diffusion.types import Denoised

NULL = 10
X_T = jnp.arange(6.0).reshape(3, 2)
LABELS = jnp.array([1, 2, 3])
T = jnp.array(0.5)


def toy(x_t, t, cond):
    """x0 = x_t label + t, eps and var_frac other multiples of it."""
    x0 = x_t * cond[:, None] + jnp.broadcast_to(t, x_t.shape[:1])[:, None]
    return Denoised(x0, var_frac=0.1 * x0, eps=-2 * x0)


def test_scales_zero_and_one_are_the_two_models():
    conditional = np.asarray(X_T) * np.array([[1], [2], [3]]) + 0.5
    unconditional = np.asarray(X_T) * NULL + 0.5
    for scale, expected in ((0.0, unconditional), (1.0, conditional)):
        got = cfg(Partial(toy), NULL, scale)(X_T, T, LABELS)
        chex.assert_trees_all_close(got.x0, expected, rtol=1e-6)


def test_guidance_by_hand():
    # x_t = 5, label 3, t = .5: conditional 15.5, null 50.5; 50.5 + 2.5 (15.5 - 50.5)
    got = cfg(Partial(toy), NULL, 2.5)(X_T, T, LABELS)
    assert float(got.x0[2, 1]) == -37.0
    assert float(got.eps[2, 1]) == 74.0
    # the variance is the conditional model's own
    chex.assert_trees_all_close(got.var_frac[2, 1], 1.55, rtol=1e-6)


def test_guidance_is_one_doubled_batch():
    calls = []

    def denoise(x_t, t, cond):
        calls.append((x_t, t, cond))
        return toy(x_t, t, cond)

    cfg(Partial(denoise), NULL, 3.0)(X_T, T, LABELS)
    cfg(Partial(denoise), NULL, 3.0)(X_T, jnp.array([0.1, 0.2, 0.3]), LABELS)
    (x_t, t, cond), (_, times, _) = calls
    chex.assert_trees_all_equal(x_t, np.concatenate([X_T, X_T]))
    assert t.shape == () and float(t) == 0.5
    chex.assert_trees_all_close(times, np.array([0.1, 0.2, 0.3] * 2, np.float32))
    chex.assert_trees_all_equal(cond, np.asarray([1, 2, 3, NULL, NULL, NULL]))


def test_null_is_shaped_as_one_examples_condition():
    def denoise(x_t, t, cond):
        return Denoised(x_t * 0 + cond["text"] + cond["label"][:, None])

    cond = {"text": jnp.ones((3, 2)), "label": jnp.array([1, 2, 3])}
    null = {"text": jnp.array([5.0, 6.0]), "label": 0}
    got = cfg(Partial(denoise), null, 0.0)(X_T, T, cond).x0
    chex.assert_trees_all_equal(got, np.asarray([[5, 6]] * 3))


def test_guiding_x0_is_guiding_eps(x64):
    """Both affine in one another: equation 1 for eps is equation 1 for x0."""
    schedule, prediction = schedules.cosine(), predictions.eps()

    def network(x_t, c, cond):
        return jnp.sin(x_t * cond[:, None])

    denoise = make_denoise(Partial(network), schedule=schedule, prediction=prediction)
    t = jnp.asarray(0.5, jnp.float64)
    x0 = cfg(denoise, NULL, 3.0)(X_T.astype(t.dtype), t, LABELS).x0
    null = np.sin(np.asarray(X_T) * NULL)
    eps = null + 3 * (np.sin(np.asarray(X_T) * np.array([[1], [2], [3]])) - null)
    c = coeffs(schedule, jnp.full(3, 0.5))
    back = make_target((c.alpha, c.sigma), x0, jnp.asarray(eps))
    chex.assert_trees_all_close(back, X_T, atol=1e-12, rtol=1e-7)


def test_scale_can_be_swept_and_differentiated():
    def at(scale):
        return cfg(Partial(toy), NULL, scale)(X_T, T, LABELS).x0[2, 1]

    got = jax.vmap(at)(jnp.array([0.0, 1.0, 2.5]))
    chex.assert_trees_all_close(got, np.asarray([50.5, 15.5, -37.0]), rtol=1e-6)
    assert float(jax.grad(at)(1.0)) == -35.0


CENTRES, SPREAD = np.array([[-2.0, 0.5], [1.0, 1.5], [0.5, -2.0]]), 0.4
SHARES = np.array([0.5, 0.2, 0.3])


def log_joint(schedule, x_t, t):
    """log p(y) p(x_t | y) + constant, for classes N(centre_y, SPREAD^2 I)."""
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    var = (alpha * SPREAD) ** 2 + sigma**2
    gap = x_t[:, None, :] - alpha * jnp.asarray(CENTRES)[None]
    return jnp.log(jnp.asarray(SHARES))[None] - 0.5 * (gap**2).sum(-1) / var


def class_means(schedule, x_t, t):
    """E[x0 | x_t, y] of every class, f[b, 3, 2]."""
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    gain = alpha * SPREAD**2 / ((alpha * SPREAD) ** 2 + sigma**2)
    centres = jnp.asarray(CENTRES)[None]
    return centres + gain * (x_t[:, None, :] - alpha * centres)


def mixture(schedule, x_t, t, cond):
    del cond
    weights = jax.nn.softmax(log_joint(schedule, x_t, t))
    return Denoised((weights[..., None] * class_means(schedule, x_t, t)).sum(1))


POINTS = np.random.default_rng(0).normal(size=(12, 2)) * 2
GOALS = jnp.asarray(np.arange(12) % 3)


def guided(schedule, scale, form="score"):
    return classifier(
        Partial(mixture, schedule),
        Partial(log_joint, schedule),
        schedule,
        scale,
        form,
    )


def test_the_right_classifier_makes_the_conditional_of_the_unconditional(
    schedule_name, x64
):
    """Bayes: the mixture's score and its classifier's are the class's own score."""
    schedule = getattr(schedules, schedule_name)()
    for time in (0.1, 0.5, 0.9):
        t = jnp.asarray(time, jnp.float64)
        got = guided(schedule, 1.0)(jnp.asarray(POINTS), t, GOALS).x0
        exact = class_means(schedule, jnp.asarray(POINTS), t)[np.arange(12), GOALS]
        chex.assert_trees_all_close(got, exact, atol=1e-9, rtol=1e-7)


def test_classifier_scale_is_linear_and_zero_is_off(x64):
    schedule, t = schedules.cosine(), jnp.asarray(0.6, jnp.float64)
    x = jnp.asarray(POINTS)
    off, one, three = (guided(schedule, s)(x, t, GOALS).x0 for s in (0.0, 1.0, 3.0))
    chex.assert_trees_all_equal(off, mixture(schedule, x, t, None).x0)
    chex.assert_trees_all_close(three - off, 3 * (one - off), atol=1e-12, rtol=1e-7)


def test_a_separate_noise_estimate_follows_the_score(x64):
    """alpha x0 + sigma eps stays what it was: equation 2's two halves agree."""
    schedule, t = schedules.cosine(), jnp.asarray(0.6, jnp.float64)
    x = jnp.asarray(POINTS)

    def with_eps(schedule, x_t, t, cond):
        den = mixture(schedule, x_t, t, cond)
        eps = (x_t - schedule.alpha(t) * den.x0) / schedule.sigma(t)
        return den._replace(eps=eps)

    den = classifier(
        Partial(with_eps, schedule), Partial(log_joint, schedule), schedule, 2.0
    )(x, t, GOALS)
    back = schedule.alpha(t) * den.x0 + schedule.sigma(t) * den.eps
    chex.assert_trees_all_close(back, x, atol=1e-12, rtol=1e-7)


def test_no_signal_means_no_guidance():
    schedule = schedules.linear_mix()  # alpha(1) is 0
    x = jnp.asarray(POINTS, jnp.float32)
    den = guided(schedule, 5.0)(x, jnp.ones(()), GOALS)
    chex.assert_trees_all_equal(den.x0, mixture(schedule, x, jnp.ones(()), None).x0)


def test_the_mean_form_shifts_an_ancestral_mean_by_its_variance(x64):
    """With the small variance the shift is an x0 moved by sigma_s^2 / alpha_s grad.

    var = sigma_s^2 r and of_x0 = alpha_s r with the same r, so
    var grad = of_x0 (sigma_s^2 / alpha_s) grad.
    """
    schedule = schedules.cosine()
    t, s = jnp.asarray(0.6, jnp.float64), jnp.asarray(0.4, jnp.float64)
    x, solver = jnp.asarray(POINTS), ddpm.make(schedule)
    noise = make_step_noise(jax.random.split(jax.random.key(0), 12), (2,))

    def step(denoise):
        state = solver.init(x)
        return solver.step(lambda x, t: denoise(x, t, GOALS), noise, x, t, s, state)[0]

    plain = mixture(schedule, x, t, None).x0
    grad = (guided(schedule, 1.0)(x, t, GOALS).x0 - plain) * (
        schedule.alpha(t) / schedule.sigma(t) ** 2
    )
    moved = plain + 2.5 * schedule.sigma(s) ** 2 / schedule.alpha(s) * grad
    got = step(guided(schedule, 2.5, "mean"))
    chex.assert_trees_all_close(
        got, step(lambda *_: Denoised(moved)), atol=1e-12, rtol=1e-7
    )


def test_the_mean_form_is_refused_where_there_is_no_mean():
    solver = ddim.make(schedules.cosine())
    x, t = jnp.asarray(POINTS, jnp.float32), jnp.asarray(0.6)
    noise = make_step_noise(jax.random.split(jax.random.key(0), 12), (2,))
    denoise = guided(schedules.cosine(), 1.0, "mean")
    with pytest.raises(ValueError, match="for the solver ddpm; use 'score'"):
        solver.step(lambda x, t: denoise(x, t, GOALS), noise, x, t, 0.5 * t, ())
    with pytest.raises(ValueError, match="form must be one of score, mean"):
        guided(schedules.cosine(), 1.0, "scroe")


def test_unconditional_is_scale_zero_for_half_the_calls():
    got = unconditional(Partial(toy), NULL)(X_T, jnp.full(3, 0.5), LABELS)
    both = cfg(Partial(toy), NULL, 0.0)(X_T, T, LABELS)
    chex.assert_trees_all_close(got.x0, both.x0, rtol=1e-6)


# --- a batch of times is a batch (law 10) ---


@pytest.fixture
def each_time(x64):
    """A function that checks a wrapper of denoisers at f[b] against each time alone."""
    schedule, x = schedules.cosine(), jnp.asarray(POINTS[:4])
    ts = jnp.array([0.1, 0.35, 0.6, 0.9])

    def model(shift, x_t, t, cond):
        c = coeffs(schedule, jnp.broadcast_to(t, x_t.shape[:1]))
        bend = (c.log_snr / 10 + shift * cond)[:, None]
        return Denoised(jnp.sin(x_t + bend), jnp.cos(x_t * bend) ** 2)

    def check(make, cond=GOALS[:4]):
        denoise = make(Partial(model, 1.0))
        together = jax.jit(denoise)(x, ts, cond)
        for i, t in enumerate(ts):
            alone = denoise(x[i : i + 1], t, cond[i : i + 1])
            row = jax.tree.map(lambda a, i=i: a[i : i + 1], together)
            chex.assert_trees_all_close(row, alone, rtol=1e-12)
            chex.assert_equal_shape([row.x0, alone.x0])
        # and different times are different
        assert not np.allclose(together.x0, denoise(x, ts[0], cond).x0)

    check.schedule, check.other = schedule, Partial(model, -0.5)
    return check


# ratios sigma / alpha of the times of `each_time`: .16, .61, 1.4, 6.3
INTERVALS = {"always": (0.0, float("inf")), "in the middle": (0.3, 3.0)}


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("rule", rules.__all__)
def test_guidance_without_a_classifier_takes_a_time_for_each(each_time, rule, interval):
    how = {
        "schedule": each_time.schedule,
        "rule": getattr(rules, rule)(),
        "interval": INTERVALS[interval],
    }
    each_time(lambda d: cfg(d, NULL, 3.0, **how))
    each_time(lambda d: autoguidance(d, each_time.other, 3.0, **how))


def test_guidance_by_a_classifier_takes_a_time_for_each(each_time):
    def logits(x_t, t):
        return jnp.sin(x_t @ jnp.asarray(CENTRES.T) + jnp.reshape(t, (-1, 1)))

    how = Partial(logits), each_time.schedule, 2.0
    for form in FORMS:
        each_time(lambda d, form=form: classifier(d, *how, form))


def test_unconditional_takes_a_time_for_each(each_time):
    each_time(lambda d: unconditional(d, NULL))


def test_the_gradient_of_a_linear_classifier_by_hand():
    """Of logits W x: the row of the class, less the average row."""
    rows = jnp.array([[1.0, -1.0], [0.5, 2.0], [0.0, 0.3]])
    logits = Partial(lambda w, x, t: x @ w.T, rows)
    x, y = np.array([[0.2, -0.4], [1.0, 0.1]]), np.array([2, 0])
    p = np.exp(x @ np.asarray(rows).T)
    p /= p.sum(axis=1, keepdims=True)
    grad, log_p = log_p_grad(logits, jnp.asarray(x), T, jnp.asarray(y))
    np.testing.assert_allclose(grad, np.asarray(rows)[y] - p @ rows, atol=1e-6)
    np.testing.assert_allclose(log_p, np.log(p[np.arange(2), y]), atol=1e-6)


def test_a_scale_for_each_example():
    scales, ts = jnp.array([0.0, 1.0, 2.5]), jnp.array([0.1, 0.5, 0.9])
    how = {"schedule": schedules.cosine(), "interval": (0.2, 50.0)}
    logits = Partial(lambda x, t: jnp.sin(x @ jnp.arange(6.0).reshape(2, 3)))
    for make in (
        lambda scale: cfg(Partial(toy), NULL, scale, **how),
        lambda scale: cfg(Partial(toy), NULL, scale),
        lambda scale: classifier(Partial(toy), logits, schedules.cosine(), scale),
    ):
        together = make(scales)(X_T, ts, LABELS % 3)
        for i in range(3):
            one = slice(i, i + 1)
            alone = make(scales[i])(X_T[one], ts[one], LABELS[one] % 3)
            row = jax.tree.map(lambda a, one=one: a[one], together)
            chex.assert_trees_all_close(row, alone, rtol=1e-6)


def test_outside_of_its_interval_an_example_is_not_guided():
    schedule, ts = schedules.cosine(), jnp.array([0.1, 0.5, 0.9])
    guided = cfg(Partial(toy), NULL, 3.0, schedule=schedule, interval=(0.5, 2.0))
    got, plain = guided(X_T, ts, LABELS).x0, toy(X_T, ts, LABELS).x0
    chex.assert_trees_all_close(got[::2], plain[::2])  # ratios .16 and 6.3
    assert not np.allclose(got[1], plain[1])


def test_a_classifier_cannot_guide_towards_another_condition():
    denoise = guided(schedules.cosine(), 1.0)
    with pytest.raises(ValueError, match="integer class labels"):
        denoise(jnp.asarray(POINTS), jnp.asarray(0.5), {"label": GOALS})
