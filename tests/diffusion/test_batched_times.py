"""Law 10, a batch of times is a batch: over all solvers, denoisers, wrappers, rules.

What is computed with one time for each example is what each example gives alone at its
own time, and equal times give what one time for all gives.
"""

import importlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff import rng
from jaxdiff.choices import members
from jaxdiff.diffusion import (
    denoisers,
    editing,
    inverse_problems,
    inversion,
    predictions,
    rules,
    sampling,
    schedules,
)
from jaxdiff.diffusion.guidance import autoguidance
from jaxdiff.diffusion.orders import VARIANTS, as_one, of_steps
from jaxdiff.diffusion.solvers import ddim, heun, unipc
from jaxdiff.diffusion.types import Denoised

B, IMAGE, ROW = 4, (2, 2, 3), (3,)
SEEDS = jax.random.split(jax.random.key(5), B)
# f[n + 1, b]: from pure noise and from less, to the data and to short of it
TIMES = np.array([[1.0, 1.0, 0.6, 0.5], [0.7, 0.5, 0.35, 0.4], [0.4, 0.3, 0.2, 0.02]])
TIMES = np.concatenate([TIMES, [[0.1, 0.0, 0.05, 0.0]]])
SCHEDULES = ("cosine", "linear_mix", "edm")
COND = jnp.array([0.1, -0.2, 0.3, 0.5])


def network(x_t, c, cond):
    bend = (c.t + (0.0 if cond is None else cond)).reshape(-1, *[1] * (x_t.ndim - 1))
    return jnp.concatenate([jnp.tanh(1.7 * x_t + bend), jnp.sin(x_t)], axis=-1)


def make_denoise(schedule, prediction="v"):
    return denoisers.make_denoise(
        Partial(network),
        schedule=schedule,
        prediction=getattr(predictions, prediction)(),
        learned_variance=True,
    )


def images(shape):
    x = jax.random.normal(jax.random.key(4), (B, *shape))
    return x.astype(jnp.result_type(float))


def one_by_one(function, *batches):
    """Row i of the function of the i-th of each batch, for all i."""
    results = [function(*(batch[i] for batch in batches)) for i in range(B)]
    return jax.tree.map(
        lambda *rows: jnp.stack([r[i] for i, r in enumerate(rows)]), *results
    )


# --- solvers ---


@jax.jit
def walk(solver, denoise, seeds, x, ts):
    """x after the steps down `ts`, f[n + 1] or f[n + 1, b]."""

    def step(carry, now):
        i, t, s = now
        noise = sampling.make_step_noise(rng.fold(seeds, i), x.shape[1:])
        bound = lambda x, t: denoise(x, t, None)  # noqa: E731
        return solver.step(bound, noise, carry[0], t, s, carry[1]), None

    now = jnp.arange(len(ts) - 1), ts[:-1], ts[1:]
    return jax.lax.scan(step, (x, solver.init(x)), now)[0][0]


def assert_a_batch_is_a_batch(solver, denoise, x, ts):
    def run(ts):
        return walk(solver, denoise, SEEDS, x, jnp.asarray(ts, x.dtype))

    together, tolerance = run(ts), {"rtol": 1e-9, "atol": 1e-9}
    assert np.isfinite(together).all()
    chex.assert_trees_all_close(together, one_by_one(run, ts.T), **tolerance)
    equal = np.broadcast_to(ts[:, 1:2], ts.shape)
    chex.assert_trees_all_close(run(equal), run(ts[:, 1]), **tolerance)


def solver_variants(name):
    file = importlib.import_module(f"jaxdiff.diffusion.solvers.{name}")
    variants = [of_steps(fields, 10) for fields in VARIANTS.get(name, [{}])]
    if name == "ddpm":
        variants.append({"variance": "learned"})
    if name == "restart":  # where every way down to .1 and below crosses
        variants = [{"low": 0.5, "high": 2.0, "repeats": 2, "num_steps": 2}]
    return [(file.make, fields) for fields in variants]


def test_every_solver_takes_a_time_of_each_example(x64, solver_name):
    x, made = images(IMAGE), [getattr(schedules, name)() for name in SCHEDULES]
    for make, fields in solver_variants(solver_name):
        for schedule in as_one(made):
            solver = make(schedule, **fields)
            assert_a_batch_is_a_batch(solver, make_denoise(schedule), x, TIMES)


@pytest.mark.parametrize("name", ["heun", "dpmpp_2s"])
def test_what_one_example_skips_does_not_spoil_its_gradient(x64, name):
    """Of the four, two are at pure noise or go to the data while others are between."""
    ((make, _), *_), schedule = solver_variants(name), schedules.cosine()
    args = make(schedule), make_denoise(schedule), SEEDS

    def total(x, ts):
        return walk(*args, x, ts).sum()

    slope = jax.grad(total)(images(ROW), jnp.asarray(TIMES))
    assert np.isfinite(slope).all() and np.abs(slope).max() > 0


def test_solvers_made_of_solvers_take_a_time_of_each_example(x64):
    schedule = schedules.cosine()
    denoise = make_denoise(schedule)
    kept = denoisers.clip_x0_only(denoise, schedule, -0.5, 0.5)
    resampled = editing.resample(ddim.make(schedule, eta=0.7), schedule, 2)
    assert_a_batch_is_a_batch(resampled, denoise, images(ROW), TIMES)
    assert_a_batch_is_a_batch(heun.make(schedule), kept, images(IMAGE), TIMES)
    for solver in (heun.make(schedule), unipc.make(schedule)):
        up = inversion.upwards(solver, schedule)
        assert_a_batch_is_a_batch(up, denoise, images(ROW), TIMES[::-1])


def trace_step(solver, x, t, s, x0):
    noise = sampling.make_step_noise(SEEDS, x.shape[1:])

    def step():
        return solver.step(lambda *_: Denoised(x0, x0), noise, x, t, s, solver.init(x))

    return jax.eval_shape(step)


def test_no_solver_turns_x_into_another_shape(solver_name):
    make, fields = solver_variants(solver_name)[0]
    solver, x = make(schedules.cosine(), **fields), jnp.zeros((4, 8, 8, 1))
    t = jnp.full(4, 0.6)
    for s in (0.5 * t, jnp.array(0.3)):  # a time for all may go with one of each
        new, _ = trace_step(solver, x, t, s, x)
        chex.assert_shape(new, x.shape)
    # times that only broadcasting could make fit, and an estimate that would widen x
    for wrong in (jnp.full(8, 0.6), jnp.full((4, 4), 0.6), jnp.full((1, 4), 0.6)):
        with pytest.raises(ValueError, match=r"times must have shape \(\) or \(4,\)"):
            trace_step(solver, x, wrong, t, x)
        with pytest.raises(ValueError, match=r"times must have shape .* got \("):
            trace_step(solver, x, t, wrong, x)
    with pytest.raises(ValueError, match=r"x0 must be float32\(4, 8, 8, 1\) like x"):
        trace_step(solver, x, t, 0.5 * t, jnp.zeros((4, 8, 8, 4)))


def test_a_formula_of_another_shape_or_type_is_refused():
    def widening(denoise, noise, x, t, s, state):
        return x + jnp.zeros((4, 8, 8, 4)), state

    def rounding(denoise, noise, x, t, s, state):
        return x.astype(jnp.bfloat16), state

    x, t = jnp.zeros((4, 8, 8, 1)), jnp.array(0.5)
    for formula, got in ((widening, r"float32\(4, 8, 8, 4\)"), (rounding, "bfloat16")):
        solver = sampling.make_solver(Partial(formula))
        with pytest.raises(ValueError, match=rf"the solver's x must be .* got {got}"):
            trace_step(solver, x, t, 0.5 * t, x)


# --- denoisers and what wraps them ---

SCHEDULE = schedules.cosine()
VALUES, MASK = jnp.array([0.3, -0.4, 0.8]), jnp.array([1, 0, 0])


@jax.jit
def estimate(denoise, x, t):
    return denoise(x, t, COND)


def assert_a_time_of_each_example(denoise, x, t):
    def at(t):
        return estimate(denoise, x, t)

    chex.assert_trees_all_close(at(t), one_by_one(at, t), rtol=1e-5, atol=1e-5)
    equal = at(jnp.full(B, t[1]))
    chex.assert_trees_all_close(at(t[1]), equal, rtol=1e-5, atol=1e-5)


def wrapped(name, denoise, shape):
    """The denoisers of one kind."""
    if name == "clips":
        yield denoisers.clip(denoise, -0.5, 0.5)
        yield denoisers.dynamic_threshold(denoise, 0.9)
        yield denoisers.clip_x0_only(denoise, SCHEDULE, -0.5, 0.5)
    elif name == "edits":
        for edit in members(editing).values():
            if shape == ROW or edit is not editing.regress:
                yield edit()(denoise, SCHEDULE, VALUES, MASK)
        linear = inverse_problems.masked(np.ones(shape, np.float32))
        if shape == IMAGE:
            linear = inverse_problems.pooled(2)
        y = linear.apply(images(shape)[:1])
        for make in members(inverse_problems).values():
            yield make()(denoise, SCHEDULE, y, linear)
        yield inverse_problems.pigdm(0.7)(denoise, SCHEDULE, y, linear)
    else:
        yield denoise


@pytest.mark.parametrize("shape", [IMAGE, ROW])
@pytest.mark.parametrize("name", ["clips", "edits"])
def test_every_wrapper_takes_a_time_of_each_example(name, shape):
    for denoise in wrapped(name, make_denoise(SCHEDULE), shape):
        t = jnp.array([0.9, 0.6, 0.3, 0.1])
        assert_a_time_of_each_example(denoise, images(shape), t)


def test_a_network_of_every_prediction_takes_a_time_of_each_example(prediction_name):
    for schedule in (schedules.cosine(), schedules.linear_mix()):
        denoise = make_denoise(schedule, prediction_name)
        t = jnp.array([1.0, 0.6, 0.3, 0.1])
        assert_a_time_of_each_example(denoise, images(IMAGE), t)


@pytest.mark.parametrize("name", rules.__all__)
def test_every_rule_takes_a_time_and_a_scale_of_each_example(name):
    rule, x = getattr(rules, name)(), images(IMAGE)
    t, scales = jnp.array([0.9, 0.6, 0.3, 0.1]), jnp.array([0.0, 0.7, 1.5, 3.0])
    plain = make_denoise(SCHEDULE)
    guide = denoisers.clip(plain, -0.2, 0.2)

    @jax.jit
    def guided(t, scale):
        return rule(SCHEDULE, scale, x, t, plain(x, t, COND), guide(x, t, COND))

    together = guided(t, scales)
    expected = one_by_one(guided, t, scales)
    chex.assert_trees_all_close(together, expected, rtol=1e-5, atol=1e-5)
    equal = guided(t, jnp.full(B, 1.5))
    for scale in (1.5, jnp.array(1.5)):
        chex.assert_trees_all_close(guided(t, scale), equal, rtol=1e-5, atol=1e-5)
    denoise = autoguidance(plain, guide, 1.5, schedule=SCHEDULE, rule=rule)
    assert_a_time_of_each_example(denoise, x, t)


def test_the_noise_of_an_estimate_takes_levels_of_each_example():
    x, t = images(IMAGE), jnp.array([0.0, 0.3, 0.6, 1.0])
    schedule = schedules.linear_mix()

    def noise(t):
        den = Denoised(jnp.tanh(x))
        return denoisers.noise_of(den, x, schedule.alpha(t), schedule.sigma(t))

    expected = one_by_one(noise, t)
    chex.assert_trees_all_close(noise(t), expected, rtol=1e-6)
    assert not np.asarray(expected[0]).any() and np.asarray(expected[1:]).any()
