"""Grids: published respacings, spacings by hand, and all fall strictly to exactly 0."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.diffusion import grids, schedules

EDM_18 = (
    "80 57.585985 40.785574 28.374585 19.352453 12.910082 8.400935 5.315195 3.256822 "
    "1.92334 1.088171 .585348 .296442 .139516 .059947 .022935 .007528 .002"
)


def entries(ts, total):
    """The table entries of times (i + 1) / total, without the last time, 0."""
    assert ts[-1] == 0
    return np.round(ts[:-1] * total - 1).astype(int).tolist()


# --- respaced timesteps (FACTS.md) ---


def steps(text):
    return [int(word) for word in text.split()]


@pytest.mark.parametrize(
    ("total", "sections", "expected"),
    [
        (1000, "ddim25", list(range(0, 1000, 40))),
        (1000, "10", steps("0 111 222 333 444 555 666 777 888 999")),
        (
            1000,
            "25",
            steps(
                "0 42 83 125 166 208 250 291 333 375 416 458 500 541 583 624 666 708 "
                "749 791 832 874 916 957 999"
            ),
        ),
        (1000, "ddim30", list(range(0, 1000, 34))),
        (7, "7", list(range(7))),
        (10, "1", [0]),
        # 10 in 3 parts are 4, 3 and 3; strides 3/2, 2/1, and none
        (10, "3,2,1", [0, 2, 3, 4, 6, 7]),
    ],
)
def test_respaced_steps_are_the_published_ones(total, sections, expected):
    assert grids.respaced_steps(total, sections) == expected


def test_respaced_sections_are_spaced_each_for_itself():
    kept = grids.respaced_steps(300, "10,15,20")
    assert len(kept) == 45
    assert kept[:10] == [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]
    assert kept[10:12] == [100, 107] and kept[24] == 199
    assert kept[25:29] == [200, 205, 210, 216] and kept[44] == 299


def test_respaced_rounds_half_to_even_as_it_accumulates():
    # 6 steps of which 3: stride 2.5, positions 0, 2.5 -> 2, 5
    assert grids.respaced_steps(6, "3") == [0, 2, 5]
    # 16 of which 3: stride 7.5 -> 8 (half to even), not 7
    assert grids.respaced_steps(16, "3") == [0, 8, 15]


@pytest.mark.parametrize(
    ("total", "sections", "message"),
    [
        (1000, "ddim60", "no integer stride takes 60 of 1000 .*'ddim60'"),
        (1000, "ddim10,15", "'ddim10,15'"),
        (1000, "ddim", "'ddim'"),
        (10, "11", "cannot keep 11 of a part's 10 steps"),
        (9, "3,4,3", "cannot keep 4 of a part's 3 steps"),
        (1000, "ten", "'ten'"),
        (1000, "10,,5", "'10,,5'"),
        (1000, "0", "'0'"),
        (1000, "-5", "'-5'"),
    ],
)
def test_wrong_sections_are_named(total, sections, message):
    with pytest.raises(ValueError, match=message):
        grids.respaced_steps(total, sections)


def test_respaced_is_the_steps_as_falling_times():
    schedule = schedules.linear_beta()
    ts = grids.respaced(schedule, 25, "ddim25")
    assert entries(ts, 1000) == list(range(960, -1, -40))
    assert ts[0] == 0.961 and ts[-2] == 0.001
    assert entries(grids.respaced(schedule, 3, total=7), 7) == [6, 3, 0]
    with pytest.raises(ValueError, match=r"has 25 steps .* sampler\.num_steps=25"):
        grids.respaced(schedule, 30, "ddim25")


# --- spacings of Lin et al., table 2 ---


@pytest.mark.parametrize(
    ("spacing", "total", "n", "expected"),
    [
        ("leading", 1000, 10, steps("900 800 700 600 500 400 300 200 100 0")),
        ("linspace", 1000, 10, steps("999 888 777 666 555 444 333 222 111 0")),
        ("trailing", 1000, 10, steps("999 899 799 699 599 499 399 299 199 99")),
        ("leading", 10, 3, [6, 3, 0]),
        ("linspace", 10, 3, [9, 4, 0]),
        ("trailing", 10, 3, [9, 6, 2]),
        ("leading", 4, 4, [3, 2, 1, 0]),
        ("linspace", 4, 4, [3, 2, 1, 0]),
        ("trailing", 4, 4, [3, 2, 1, 0]),
    ],
)
def test_discrete_spacings_by_hand(spacing, total, n, expected):
    ts = grids.discrete(schedules.cosine(), n, total, spacing)
    assert entries(ts, total) == expected
    chex.assert_trees_all_equal(ts[:-1], (np.array(expected) + 1) / total)


# --- grids in noise level ---


def test_karras_is_edms_published_grid(x64, assert_listed):
    schedule = schedules.edm()
    ts = grids.karras(schedule, 18)
    assert_listed(schedule.sigma(jnp.asarray(ts[:-1])), *EDM_18.split())
    assert ts[-1] == 0


def test_karras_has_the_same_noise_levels_on_every_schedule(x64, schedule_name):
    # a range that all have: angle's cleanest is .33, scaled linear's noisiest 14.6
    schedule = getattr(schedules, schedule_name)()
    ts = jnp.asarray(grids.karras(schedule, 9, sigma_min=0.5, sigma_max=10.0, rho=3.0))
    sigma = schedule.sigma(ts[:-1]) / schedule.alpha(ts[:-1])
    expected = np.linspace(10.0 ** (1 / 3), 0.5 ** (1 / 3), 9) ** 3
    chex.assert_trees_all_close(sigma, expected, rtol=1e-9)


def test_karras_is_cut_to_what_the_schedule_has(x64):
    schedule = schedules.scaled_linear_beta()
    ts = grids.karras(schedule, 5)
    assert ts[0] == pytest.approx(1, abs=1e-12) and ts[-2] == pytest.approx(1e-3)


def test_uniform_grid_of_edm_is_karras_with_sigma_min_zero(x64):
    ts = grids.uniform(schedules.edm(), 4)
    sigma = schedules.edm().sigma(jnp.asarray(ts))
    expected = [(80 ** (1 / 7) * (1 - i / 4)) ** 7 for i in range(5)]
    chex.assert_trees_all_close(sigma, np.array(expected), rtol=1e-12)


def test_log_snr_grid_is_evenly_spaced(x64, schedule_name):
    schedule = getattr(schedules, schedule_name)()
    ts = grids.log_snr(schedule, 12)
    values = np.asarray(schedule.log_snr(jnp.asarray(ts[:-1])))
    rise = np.diff(values)
    chex.assert_trees_all_close(rise, rise[0], rtol=1e-7)
    start = float(schedule.log_snr(jnp.ones(())))
    assert values[0] == pytest.approx(max(start, -12.0), rel=1e-9)
    assert ts[-2] == pytest.approx(1e-3, rel=1e-7) and ts[-1] == 0


def test_exponential_is_karras_with_a_large_rho(x64):
    schedule = schedules.edm()
    ts = jnp.asarray(grids.exponential(schedule, 6, sigma_min=0.01, sigma_max=10.0))
    expected = [10.0, 10**0.4, 10**-0.2, 10**-0.8, 10**-1.4, 0.01]
    chex.assert_trees_all_close(schedule.sigma(ts[:-1]), np.array(expected), rtol=1e-9)
    near = grids.karras(schedule, 6, sigma_min=0.01, sigma_max=10.0, rho=1e5)
    chex.assert_trees_all_close(ts, near, rtol=1e-4)


def test_grids_in_time_by_hand():
    schedule = schedules.linear_mix()
    chex.assert_trees_all_close(
        grids.quadratic(schedule, 4),
        np.asarray([1, 9 / 16, 0.25, 1 / 16, 0]),
        rtol=1e-7,
    )
    # three times the noise for each signal: t / (1 - t) = 3, 1, 1/3 before
    ts = grids.shifted(schedule, 4, shift=3.0)
    chex.assert_trees_all_close(
        ts[1:-1] / (1 - ts[1:-1]), np.asarray([9, 3, 1]), rtol=1e-7
    )
    chex.assert_trees_all_close(
        grids.shifted(schedule, 7, shift=1.0), np.linspace(1, 0, 8), rtol=1e-7
    )
    # Beta(1, 1) is even, Beta(2, 1) has the distribution function t^2
    chex.assert_trees_all_close(
        grids.beta(schedule, 4, 1.0, 1.0), np.linspace(1, 0, 5), rtol=1e-7
    )
    halves = grids.beta(schedule, 2, 2.0, 1.0)
    chex.assert_trees_all_close(halves, np.asarray([1, np.sqrt(0.5), 0]), rtol=1e-7)


def test_every_grid_falls_strictly_from_noise_to_data(pair, schedule, grid_name):
    for n in (1, 10, 250):
        ts = getattr(grids, grid_name)(schedule, n)
        assert isinstance(ts, np.ndarray) and ts.dtype == np.float64
        assert ts.shape == (n + 1,) and ts[-1] == 0
        assert 0 < ts[0] <= 1 and (np.diff(ts) < 0).all()
        # still falling when the sampler takes them in single precision
        assert (np.diff(ts.astype(np.float32)) < 0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: grids.uniform(s, 0), "num_steps=0"),
        (lambda s: grids.log_snr(s, 0), "num_steps=0"),
        (lambda s: grids.karras(s, 0), "num_steps=0"),
        (lambda s: grids.discrete(s, 11, 10), "total=10, .*got num_steps=11"),
        (lambda s: grids.discrete(s, 5, 10, "lagging"), "trailing, got .*'lagging'"),
        (lambda s: grids.karras(s, 5, 2.0, 1.0), r"sigma_min=2\.0, sigma_max=1\.0"),
        (lambda s: grids.karras(s, 5, rho=0.0), r"rho=0\.0"),
        (lambda s: grids.log_snr(s, 5, min_log_snr=50.0), "must fall strictly"),
        (lambda s: grids.exponential(s, 5, 2.0, 1.0), r"sigma_min=2\.0"),
        (lambda s: grids.karras(s, 5, rho=1e-300), "at least .01, got rho=1e-300"),
        # in float64 it falls
        (lambda s: grids.shifted(s, 5, 1e9), "float32.*fewer steps, or another grid"),
        (lambda s: grids.beta(s, 5, 0.01), "must fall strictly in float32"),
        (lambda s: grids.uniform(s, 2**25), "at most 100000, got num_steps"),
        (lambda s: grids.shifted(s, 5, 0.0), r"shift=0\.0"),
        (lambda s: grids.beta(s, 5, 0.0), r"a=0\.0"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make(schedules.cosine())


def test_written_times_are_taken_as_they_are():
    ts = grids.written(schedules.cosine(), 3, times="1, .6 0.25,0")
    chex.assert_trees_all_equal(ts, np.asarray([1.0, 0.6, 0.25, 0.0]))


@pytest.mark.parametrize(
    ("steps", "times", "message"),
    [
        (2, "1 .6 .25 0", "num_steps=3"),
        (2, "0 .5 1", "fall strictly"),
        (2, "1 half 0", "must be numbers"),
        (2, "2 .5 0", r"in \[0, 1\]"),
        (3, "1 .99999999 .5 0", "must fall strictly in float32"),
        (2, "1 1e-50 0", "must fall strictly in float32"),
    ],
)
def test_wrong_written_times_are_refused(steps, times, message):
    with pytest.raises(ValueError, match=message):
        grids.written(schedules.cosine(), steps, times=times)
