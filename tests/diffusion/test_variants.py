"""A law of every schedule, prediction, weight, distance and rule, in chex's variants.

With jit the numbers of a member are traced; without jit they are Python's and numpy's,
and every operation runs by itself; with device they are arrays. The members come from
their homes, so that a new one is tested at once. Solvers are in
solvers/test_variants.py.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized
from jax.tree_util import Partial

from jaxdiff import rng
from jaxdiff.arrays import expand
from jaxdiff.choices import members
from jaxdiff.diffusion import losses, noises, predictions, rules, schedules, times
from jaxdiff.diffusion import weights as weighting
from jaxdiff.diffusion.guidance import cfg
from jaxdiff.diffusion.levels import coeffs
from jaxdiff.diffusion.losses import Objective, denoising_loss
from jaxdiff.diffusion.predictions import make_target, native_weight, to_x0
from jaxdiff.diffusion.scalings import vp
from jaxdiff.diffusion.types import Denoised
from jaxdiff.diffusion.weights import target_factor

in_all_variants = chex.variants(with_jit=True, without_jit=True, with_device=True)

SHAPE, NULL = (3, 2, 2), 9
X0, EPS = (
    jnp.asarray(np.sin(k * np.arange(1.0, 13.0)).reshape(SHAPE), jnp.float32)
    for k in (1, 2)
)


def every(home):
    """One case for each member of a home."""
    return parameterized.named_parameters(*members(home).items())


class Schedules(chex.TestCase):
    @in_all_variants
    @every(schedules)
    def test_t_of_undoes_log_snr_and_the_ends_are_finite(self, make):
        @self.variant
        def evaluate(schedule, t):
            log_snr = schedule.log_snr(t)
            again = schedule.t_of(log_snr)
            return schedule.alpha(t), schedule.sigma(t), log_snr, again

        t = jnp.array([0.0, 0.1, 0.35, 0.6, 0.8, 1.0])
        alpha, sigma, log_snr, again = evaluate(make(), t)
        chex.assert_trees_all_equal_shapes_and_dtypes(alpha, sigma, log_snr, again, t)
        chex.assert_tree_all_finite((alpha, sigma))
        chex.assert_trees_all_close(again[1:-1], t[1:-1], atol=1e-5, rtol=0)
        snr = np.square(np.float64(alpha) / np.maximum(np.float64(sigma), 1e-30))
        chex.assert_trees_all_close(
            np.exp(np.float64(log_snr[1:-1])), snr[1:-1], rtol=2e-5
        )
        assert (np.diff(log_snr) < 0).all()


class Predictions(chex.TestCase):
    @in_all_variants
    @every(predictions)
    def test_the_target_gives_x0_back_and_its_error_the_error_of_x0(self, make):
        """to_x0(target) = x0, and |out - target|^2 = native |x0_hat - x0|^2."""

        @self.variant
        def estimate(prediction, schedule, t, x0, eps, error):
            c = coeffs(schedule, t)
            row = prediction(c)
            x_t = expand(c.alpha, x0) * x0 + expand(c.sigma, x0) * eps
            target = make_target(row, x0, eps)
            outs = target, target + error
            return [to_x0(row, c, x_t, out) for out in outs], native_weight(row, c)

        t, error = jnp.array([0.15, 0.5, 0.8]), 0.3 * EPS
        (right, wrong), native = estimate(make(), schedules.cosine(), t, X0, EPS, error)
        chex.assert_trees_all_close(right, X0, atol=2e-6, rtol=0)
        expected = np.square(error) / expand(native, error)
        got = np.square(np.float64(wrong) - np.float64(X0))
        chex.assert_trees_all_close(got, expected, rtol=1e-3, atol=1e-6)
        chex.assert_shape(native, t.shape)


class Weights(chex.TestCase):
    @in_all_variants
    @every(weighting)
    def test_a_weight_is_one_of_x0_whatever_is_predicted_and_however_scaled(self, make):
        """factor native = weight for each prediction, and the same for x / |x|."""
        weight, rows = make(), [make() for make in members(predictions).values()]

        @self.variant
        def factors(weight, schedule, t):
            c = coeffs(schedule, t)
            all_rows = [row(c) for row in rows]
            factor = jnp.stack([target_factor(weight, row, c) for row in all_rows])
            return factor, jnp.stack([native_weight(row, c) for row in all_rows])

        t, inside = jnp.array([0.0, 0.2, 0.5, 0.9, 1.0]), slice(1, -1)
        of_x0 = []
        for schedule in (schedules.linear_mix(), vp(schedules.linear_mix())):
            factor, native = factors(weight, schedule, t)
            chex.assert_shape([factor, native], (len(rows), len(t)))
            chex.assert_tree_all_finite(factor)
            assert (factor >= 0).all() and (factor[:, inside] > 0).all()
            if weight is None:
                chex.assert_trees_all_equal(factor, np.ones(factor.shape, "f4"))
                return
            of_x0.append((factor * native)[:, inside])
        expected = np.broadcast_to(of_x0[0][0], of_x0[0].shape)
        for got in of_x0:
            chex.assert_trees_all_close(got, expected, rtol=2e-5)


class Losses(chex.TestCase):
    @in_all_variants
    @every(losses)
    def test_a_distance_is_zero_at_zero_even_and_convex(self, make):
        @self.variant
        def with_slope(distance, error):
            return distance(error), jax.vmap(jax.grad(distance))(error)

        error = jnp.array([-3.0, -0.5, -1e-3, 0.0, 1e-3, 0.5, 3.0])
        value, slope = with_slope(make(), error)
        chex.assert_trees_all_equal_shapes_and_dtypes(value, slope, error)
        assert float(value[3]) == 0 and (np.diff(value[3:]) > 0).all()
        chex.assert_trees_all_equal(value, value[::-1])
        chex.assert_trees_all_equal(slope[4:], -slope[2::-1])
        assert (np.diff(slope) >= 0).all() and (slope[4:] > 0).all()

    @in_all_variants
    @every(losses)
    def test_the_loss_is_zero_at_the_target_alone(self, make):
        self.check(make(), learned_variance=False)

    @in_all_variants
    @every(losses)
    def test_the_hybrid_loss_is_zero_at_the_target_and_its_variance_alone(self, make):
        self.check(make(), learned_variance=True)

    def check(self, distance, *, learned_variance):
        schedule = schedules.cosine()
        objective = Objective(
            schedule=schedule,
            prediction=predictions.v(),
            times=times.uniform(schedule),
            weight=weighting.x0(),
            distance=distance,
            noise=noises.normal(),
            learned_variance=learned_variance,
            bound_weight=0.1 * learned_variance,
            bound_steps=10,
            decoder=Partial(lambda x0, mean, log_std: jnp.zeros_like(x0)),
        )

        @self.variant
        def losses_of(distance, keys, x0, off):
            def network(x_t, c, cond):
                del cond
                eps = (x_t - expand(c.alpha, x_t) * x0) / expand(c.sigma, x_t)
                out = make_target(objective.prediction(c), x0, eps) + off
                # -1: the posterior's own variance
                halves = [out, expand(off, out) - jnp.ones_like(out)]
                return jnp.concatenate(halves[: 1 + learned_variance], axis=-1)

            goal = objective._replace(distance=distance)
            return denoising_loss(keys, network, x0, None, goal)

        keys = rng.batch_keys(jax.random.key(3), jnp.arange(3), 3)
        off = jnp.zeros(SHAPE).at[1].set(0.2)
        loss, metrics = losses_of(distance, keys, X0, off)
        chex.assert_shape([loss, metrics["x0_mae"]], (3,))
        chex.assert_trees_all_close(loss[::2], np.zeros(2, "f4"), atol=1e-5)
        assert float(loss[1]) > 1e-3 and float(metrics["x0_mae"][1]) > 1e-2


class Rules(chex.TestCase):
    @in_all_variants
    @every(rules)
    def test_scale_one_and_equal_estimates_are_left_alone(self, make):
        """Scale 1 is the conditional estimate; of two equal ones nothing is moved."""

        def denoise(x_t, t, cond):
            del t
            return Denoised(jnp.tanh(x_t + expand(0.1 * cond, x_t)))

        @self.variant
        def guide(rule, schedule, scale, x_t, t, cond):
            guided = cfg(Partial(denoise), NULL, scale, schedule=schedule, rule=rule)
            return guided(x_t, t, cond).x0

        scale, cond = jnp.array([1.0, 3.0, 3.0]), jnp.array([4, NULL, 4])
        t = jnp.array([0.7, 0.4, 0.4])
        got = guide(make(), schedules.linear_mix(), scale, X0, t, cond)
        chex.assert_trees_all_equal_shapes_and_dtypes(got, X0)
        expected = np.tanh(np.float64(X0) + 0.1 * np.float64(cond)[:, None, None])
        chex.assert_trees_all_close(got[:2], np.float32(expected[:2]), atol=2e-6)
        assert np.abs(got[2] - expected[2]).max() > 0.05
