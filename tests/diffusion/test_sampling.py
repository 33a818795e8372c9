"""The loop: law 1, the trace, the size of its program, how often it denoises."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff import choices, rng
from jaxdiff.diffusion import grids, noises, sampling, schedules, solvers
from jaxdiff.diffusion.guidance import cfg
from jaxdiff.diffusion.solvers import ddim, ddpm
from jaxdiff.diffusion.types import Denoised

SCHEDULE = schedules.cosine()
SEEDS = rng.split_by(jax.random.key(11), jnp.arange(6))
TS = jnp.asarray(grids.uniform(SCHEDULE, 5))
LABELS = jnp.arange(6)
SHAPE = (2, 3)


def _curved(gain, x_t, t, cond):
    """Nonlinear, element by element, and different for each time and label."""
    bend = (0.1 * cond + t).reshape(-1, 1, 1)
    return Denoised(jnp.tanh(gain * x_t + bend))


CURVED = Partial(_curved, 1.7)


def noise(seeds, schedule=SCHEDULE):
    return sampling.init_noise(seeds, SHAPE, schedule=schedule, noise=noises.normal())


def images(seeds, labels, solver=None):
    solver = ddpm.make(SCHEDULE) if solver is None else solver
    return sampling.sample(seeds, CURVED, solver, TS, noise(seeds), labels)


# --- law 1 ---


def test_an_image_depends_on_its_seed_alone():
    whole = np.asarray(images(SEEDS, LABELS))
    assert len(np.unique(whole.reshape(6, -1).round(3), axis=0)) == 6
    for part in ([2], [5, 3, 1, 0]):
        got = images(SEEDS[jnp.array(part)], LABELS[jnp.array(part)])
        chex.assert_trees_all_close(got, whole[part], atol=1e-6, rtol=1e-7)


def test_an_image_does_not_depend_on_the_number_of_devices():
    whole = np.asarray(images(SEEDS, LABELS))
    for devices in (2, 3):
        shards = [a.reshape(devices, -1) for a in (SEEDS, LABELS)]
        got = jax.pmap(images, devices=jax.devices()[:devices])(*shards)
        chex.assert_trees_all_close(
            got.reshape(whole.shape), whole, atol=1e-6, rtol=1e-7
        )


def test_every_step_has_noise_of_its_own():
    """A solver that adds its draw: the sum is that of the keys of eq. 3, by hand."""

    def step(denoise, noise, x, t, s, state):
        return x + noise(), state

    walk = sampling.make_solver(Partial(step))
    got = sampling.sample(SEEDS, CURVED, walk, TS, jnp.zeros((6, *SHAPE)), LABELS)
    for image in (0, 4):
        draws = [
            jax.random.normal(jax.random.fold_in(SEEDS[image], i + 1), SHAPE)
            for i in range(5)
        ]
        chex.assert_trees_all_close(got[image], sum(draws), rtol=1e-5, atol=1e-6)


def test_a_steps_noise_is_drawn_with_its_keys_folded_by_the_numbers():
    noise = sampling.make_step_noise(SEEDS, SHAPE)
    key = SEEDS[4]
    chex.assert_trees_all_equal(noise()[4], jax.random.normal(key, SHAPE))
    key = jax.random.fold_in(key, 2)
    chex.assert_trees_all_equal(noise(2)[4], jax.random.normal(key, SHAPE))
    chex.assert_trees_all_equal(jax.jit(noise)(2), noise(2))
    key = jax.random.fold_in(key, 5)
    for z in (noise(2, 5), partial(noise, 2)(5)):
        chex.assert_trees_all_equal(z[4], jax.random.normal(key, SHAPE))


def test_first_noise_is_the_schedules_own_of_a_stream_apart():
    edm = schedules.edm()
    z = jax.random.normal(jax.random.fold_in(SEEDS[3], 0), SHAPE)
    chex.assert_trees_all_close(noise(SEEDS, edm)[3], 80 * z, rtol=1e-6)
    half = sampling.init_noise(SEEDS, SHAPE, schedule=edm, noise=noises.normal(), t=0.5)
    chex.assert_trees_all_close(half[3], 80 * 0.5**7 * z, rtol=1e-5)


# --- the trace ---


def test_the_trace_is_what_the_solver_saw():
    solver = ddim.make(SCHEDULE)
    x_T = noise(SEEDS)
    end, trace = sampling.sample(SEEDS, CURVED, solver, TS, x_T, LABELS, trace=True)
    chex.assert_trees_all_equal(trace.x_t[0], x_T)
    for i in range(5):
        x0 = CURVED(trace.x_t[i], TS[i], LABELS).x0
        chex.assert_trees_all_close(trace.x0[i], x0, atol=1e-6, rtol=1e-7)
    # a run cut after 3 steps ends where the trace is
    got = sampling.sample(SEEDS, CURVED, solver, TS[:4], x_T, LABELS)
    chex.assert_trees_all_close(got, trace.x_t[3], atol=1e-6, rtol=1e-7)
    # the last step is to t = 0, and that is the last estimate
    chex.assert_trees_all_close(end, trace.x0[-1], atol=1e-6, rtol=1e-7)
    plain = sampling.sample(SEEDS, CURVED, solver, TS, x_T, LABELS)
    chex.assert_trees_all_close(end, plain, atol=1e-6, rtol=1e-7)


# --- size ---


def equations(jaxpr):
    """The number of equations of a jaxpr and of all that are inside it."""
    count = 0
    for equation in jaxpr.eqns:
        count += 1
        for value in equation.params.values():
            for inner in value if isinstance(value, (tuple, list)) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    count += equations(inner)
    return count


@pytest.mark.parametrize("trace", [False, True])
def test_a_thousand_steps_are_no_larger_a_program_than_ten(trace):
    def size(num_steps):
        ts = jnp.linspace(1, 0, num_steps + 1)
        traced = jax.make_jaxpr(
            lambda ts: sampling.sample(
                SEEDS,
                CURVED,
                ddpm.make(SCHEDULE),
                ts,
                noise(SEEDS),
                LABELS,
                trace=trace,
            )
        )
        return equations(traced(ts).jaxpr)

    assert size(1000) == size(10) > 50


@pytest.mark.parametrize(
    ("name", "fields", "calls"),
    [
        ("ddim", {}, 6),
        ("ddpm", {"variance": "learned"}, 6),
        ("heun", {}, 11),  # one in the step to 0
        ("dpmpp_2s", {}, 11),
        ("dpmpp_3m", {}, 6),
        ("unipc", {}, 6),
        ("plms", {}, 7),  # two in the first
        # down from .3 in 4 steps of Heun, 3 times, once a step of heun ends below .06
        ("restart", {"repeats": 3, "num_steps": 4}, 11 + 3 * 2 * 4),
    ],
)
def test_denoiser_calls_are_counted(name, fields, calls):
    solver = choices.pick(solvers, name)(SCHEDULE, **fields)
    ts = SCHEDULE.t_of(-2 * jnp.log(jnp.array([9.0, 3.0, 1.0, 0.2, 0.05, 0.01])))
    assert sampling.count_nfe(solver, jnp.append(ts, 0.0)) == calls


def test_a_sample_differentiates_by_guidance_and_by_the_grid():

    def end(scale, middle):
        x_T = jnp.linspace(-1.0, 2.0, 12).reshape(2, *SHAPE)
        ts = jnp.stack([jnp.ones(()), middle, jnp.zeros(())])
        denoise = cfg(CURVED, 9, scale)
        solver = ddim.make(SCHEDULE)
        x = sampling.sample(SEEDS[:2], denoise, solver, ts, x_T, LABELS[:2])
        return x.sum()

    with jax.enable_x64(True):
        h, at = 1e-5, (jnp.array(1.5), jnp.array(0.4))
        slopes = jax.grad(end, (0, 1))(*at)
        for slope, (a, b) in zip(slopes, ((h, 0), (0, h)), strict=True):
            high, low = end(at[0] + a, at[1] + b), end(at[0] - a, at[1] - b)
            assert float(slope) == pytest.approx(float(high - low) / (2 * h), rel=1e-4)
