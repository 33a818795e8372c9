"""Every solver in chex's variants: a step against the closed form, the loop by hand.

The data are N(MEAN, STD^2) in every value, so that the exact denoiser is affine, and
so is a step of any solver, in x and in its noise.
"""

from functools import cache

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized
from jax.tree_util import Partial

from jaxdiff.choices import members, pick
from jaxdiff.diffusion import analytic, sampling, schedules, solvers
from jaxdiff.diffusion.levels import level
from jaxdiff.diffusion.types import Denoised

MEAN, STD = 0.3, 0.5
SCHEDULE = schedules.linear_mix()
LAW = analytic.Mixture(*(np.full((1, 2), value) for value in (1.0, MEAN, STD)))
EXACT = analytic.make_denoise(LAW, SCHEDULE)

SHAPE = (3, 2)
SEEDS = jax.random.split(jax.random.key(2), 4)
# from pure noise; down past where `restart` goes back up; to the data
TS = jnp.array([1.0, 0.5, 0.03, 0.0])

in_all_variants = chex.variants(with_jit=True, without_jit=True, with_device=True)
every_solver = parameterized.named_parameters(
    *((name, name, make) for name, make in members(solvers).items())
)


def deviation(t):
    """Of x_t."""
    alpha, sigma = level(SCHEDULE, jnp.asarray(t))
    return float(jnp.hypot(alpha * STD, sigma))


def to_the_end(x_t, t, cond):
    """The x0 at the end of the path through x_t, as consistency models give it."""
    del cond
    alpha, sigma = level(SCHEDULE, t)
    spread = jnp.sqrt((alpha * STD) ** 2 + sigma**2)
    return Denoised(MEAN + STD * (x_t - alpha * MEAN) / spread)


def denoiser_for(name):
    return Partial(to_the_end) if name == "consistency" else EXACT


def as_is(variant):
    """Loops and branches are Python's, but for what jit or pmap traces."""
    kinds = chex.ChexVariantType
    return chex.fake_jit(variant.type in (kinds.WITHOUT_JIT, kinds.WITH_DEVICE))


class Steps(chex.TestCase):
    @in_all_variants
    @every_solver
    def test_a_step_keeps_mean_and_variance_to_first_order(self, name, make):
        """b^2 var_t + g^2 = var_s, of x_s = mean_s + b (x_t - mean_t) + g z."""
        denoise = denoiser_for(name)

        @self.variant
        def step(solver, x, t, s, z):
            state = solver.init(x)
            bound = lambda x, t: denoise(x, t, None)  # noqa: E731
            return *solver.step(bound, lambda *_: z, x, t, s, state), state

        t, s = jnp.array(0.52), jnp.array(0.5)
        # in deviations from the mean; in the last row the noise alone
        starts, z = (
            jnp.broadcast_to(jnp.array(row)[:, None, None], (4, 3, 2))
            for row in ([0.0, 1.0, -1.0, 0.0], [0.0, 0.0, 0.0, 1.0])
        )
        x_t = SCHEDULE.alpha(t) * MEAN + deviation(t) * starts
        with as_is(self.variant):
            x_s, after, before = step(make(SCHEDULE), x_t, t, s, z)
        chex.assert_trees_all_equal_shapes_and_dtypes((x_s, after), (x_t, before))
        ends = (np.float64(x_s) - float(SCHEDULE.alpha(s)) * MEAN) / deviation(s)
        chex.assert_trees_all_close(ends[0], np.zeros((3, 2)), atol=1e-6)
        chex.assert_trees_all_close(ends[2], -ends[1], atol=1e-6)
        # the error of one step is of second order in its length
        h = float(SCHEDULE.log_snr(s) - SCHEDULE.log_snr(t)) / 2
        total = ends[1] ** 2 + ends[3] ** 2
        chex.assert_trees_all_close(total, np.ones((3, 2)), atol=h**2)


class Loops(chex.TestCase):
    @in_all_variants
    @every_solver
    def test_three_steps_are_the_loop_by_hand(self, name, make):
        self.check(name, make)

    @chex.variants(with_pmap=True)
    @parameterized.named_parameters(("ddpm", "ddpm"), ("unipc", "unipc"))
    def test_three_steps_on_several_devices_are_the_loop_by_hand(self, name):
        """Of a solver that draws noise, and of one with a memory."""
        self.check(name, pick(solvers, name))

    def check(self, name, make):
        @self.variant
        def draw(solver, seeds, ts, x_T):
            return sampling.sample(seeds, denoiser_for(name), solver, ts, x_T)

        x_T = noise_of(-1)()
        with as_is(self.variant):
            got = draw(make(SCHEDULE), SEEDS, TS, x_T)
        chex.assert_trees_all_equal_shapes_and_dtypes(got, x_T)
        chex.assert_trees_all_close(got, by_hand(name, make), atol=1e-5)


@cache
def by_hand(name, make):
    """Equation 2 of sampling.py, one operation at a time."""
    with chex.fake_jit():
        solver, denoise, x = make(SCHEDULE), denoiser_for(name), noise_of(-1)()
        state = solver.init(x)
        for i in range(3):
            bound = lambda x, t: denoise(x, t, None)  # noqa: E731
            x, state = solver.step(bound, noise_of(i), x, TS[i], TS[i + 1], state)
        return np.asarray(x)


def noise_of(step):
    """Equation 3 of sampling.py, one image at a time."""

    return lambda *where: draws((step + 1, *map(int, where)))


@cache
def draws(numbers):
    images = []
    for key in SEEDS:
        for number in numbers:
            key = jax.random.fold_in(key, number)
        images.append(jax.random.normal(key, SHAPE))
    return jnp.stack(images)
