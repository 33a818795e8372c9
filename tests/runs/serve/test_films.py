"""Films: the samples of launch.sample, whatever they share a batch with."""

import jax
import numpy as np
import pytest

from jaxdiff.runs.serve import films
from jaxdiff.runs.serve.offer import BadRequestError

pytestmark = pytest.mark.usefixtures("one_device")


def expected(served, request):
    """Pixels or columns of the samples that launch.sample draws of a request."""
    run = served.run.with_sampler(
        solver=request.solver, num_steps=request.steps, guidance=request.guidance
    )
    mask = request.fix.mask if request.fix else None
    index, cond = np.arange(request.num), run.conditions(request.num, request.label)
    values = np.repeat(request.fix.values, request.num, 0) if request.fix else None
    sampler = run.sampler(mask=mask)
    x = sampler.draw(run.params, request.seed, index, cond, values=values)
    return run.pixels(x) if run.source.is_image else run.source.decode(x)


def assert_pixels_close(a, b):
    """But for a level, where a value is rounded the other way."""
    assert a.shape == b.shape
    assert abs(a.astype(int) - b).max() <= 1


# Three images each: all can be drawn by one program of launch.sample's.
BATCH = {"seed": 2**32 - 1, "guidance": -1.5}, {"seed": 1, "label": "class 2"}


def test_images_of_a_batch_are_those_of_launch_sample(images):
    """Of other seeds, classes and guidance scales."""
    requests = [images.request(num=3, **fields) for fields in BATCH]
    results = images.draw(requests)
    for request, film in zip(requests, results, strict=True):
        assert film.batch == 6 and film.x0.dtype == np.uint8
        assert film.x_t.shape == film.x0.shape == (4, 3, 8, 8, 1)
        np.testing.assert_array_equal(film.x_t[-1], film.x0[-1])
        assert_pixels_close(film.x0[-1], expected(images, request))
    assert results[0].x0[-1].std() > 10
    assert (results[0].x0[0] != results[0].x_t[0]).any()


def test_alone_a_request_gives_the_same(images):
    request = images.request(seed=1, label=2, num=1)
    (alone,) = images.draw([request])
    beside, _ = images.draw([request, images.request(seed=4, num=7)])
    assert (alone.batch, beside.batch) == (1, 8)
    np.testing.assert_array_equal(alone.ts, beside.ts)
    assert_pixels_close(alone.x_t, beside.x_t)
    assert_pixels_close(alone.x0, beside.x0)


@pytest.mark.parametrize("steps", [1, 2, 10, 11, 250])
def test_frames_are_spread_over_the_steps(steps):
    frames = films._frames(steps)
    assert len(frames) == min(steps, 10) and frames[0] == 0
    gaps = np.diff([*frames, steps])  # the last frame, of the samples, is at the end
    assert gaps.min() >= 1 and gaps.max() <= gaps.min() + 1


def test_fixed_columns_stay_as_they_are_written(rows):
    a, b = rows.offer.columns
    request = rows.request(num=3, fix=f"{a}=0.123456789")
    (film,) = rows.draw([request])
    for table in (film.x_t, film.x0):
        assert table[a].shape == (4, 3) and (table[a] == 0.123456789).all()
    free = expected(rows, request)[b]
    np.testing.assert_allclose(film.x_t[b][-1], free, rtol=1e-4, atol=1e-5)
    # rows of other fixed columns are drawn apart, of other values together
    others = [request, rows.request(fix=f"{b}=0.5"), rows.request()]
    assert len({films.group_of(other) for other in others}) == 3
    assert films.group_of(request) == films.group_of(rows.request(fix=f"{a}=2"))


def test_columns_keep_their_order(rows):
    values = {name: np.arange(6).reshape(2, 3) for name in ("width", "class", "area")}
    table = films._cut(rows.run, rows.request(), values, slice(1, 3))
    assert [*table] == ["width", "class", "area"]
    np.testing.assert_array_equal(table["class"], [[1, 2], [4, 5]])


def test_samples_that_are_not_finite_are_an_error_of_their_request(images):
    good, bad = images.request(seed=1), images.request(seed=2)
    film, error = images.draw([good, bad._replace(guidance=float("inf"))])
    assert isinstance(error, FloatingPointError) and "not finite" in str(error)
    assert_pixels_close(film.x0, images.draw([good, bad])[0].x0)


def test_a_solver_that_refuses_its_fields_is_a_bad_request(images):
    with pytest.raises(BadRequestError, match="eta"):
        images.draw([images.request(solver="ddim(eta=7.0)")])


def test_only_so_many_programs_are_kept(images, monkeypatch):
    compiled = []

    def compile_none(shape, structure, like):
        compiled.append(structure)
        return lambda *_: (np.zeros(2), *np.zeros((2, 2, 1, *shape)))

    monkeypatch.setattr(films, "MOST_PROGRAMS", 2)
    monkeypatch.setattr(films, "_compile", compile_none)
    draw = films.make_draw(images.run, 1)
    for steps in (1, 2, 2, 3, 1):  # the last one was forgotten, and 2 was not
        draw([images.request(num=1, steps=steps)])
    assert len(compiled) == 4
    draw([images.request(num=1, steps=1, guidance=7, seed=3, label=1)])
    assert len(compiled) == 4


def test_what_jax_keeps_of_a_program_is_cleared(monkeypatch):
    cleared = []
    monkeypatch.setattr(jax, "clear_caches", lambda: cleared.append(0))
    monkeypatch.setattr(films, "_film", lambda a, b, c, *, shape: (a, b, c))
    structure, like = jax.tree.structure((1, 2, 3)), (((), np.dtype("float32")),) * 3
    assert films._compile((2,), structure, like)(*map(np.float32, (1, 2, 3)))[2] == 3
    assert cleared == [0]
