"""The law of the loader: a batch is a function of (seed, step) alone."""

import gc
import threading
import time
from itertools import islice
from typing import NamedTuple

import chex
import jax
import numpy as np
import pytest

from jaxdiff.data import digits, iris, synthetic
from jaxdiff.data.batches import batch_at, batches, flips, map_chunks, permutation
from jaxdiff.data.source import Source, map_arrays, take


def counting(n: int) -> Source:
    """A source whose x is the example's own number, as 1x2 images [i, -i]."""

    def load(index):
        x = np.stack([index, -index], -1).astype(np.float32)
        return {"x": x.reshape(-1, 1, 2, 1), "cond": index.astype(np.int32)}

    return Source(
        load, n, (1, 2, 1), lambda x: x, n, ("",) * n, 255.0, bounds=(-1.0, 1.0)
    )


def labels(items) -> np.ndarray:
    return np.concatenate([b["cond"].ravel() for b in items])


# n below, equal to, a multiple of and not a multiple of the batch size of 6.
@pytest.mark.parametrize("n", [4, 6, 12, 15])
def test_every_epoch_has_every_example_once(n):
    seen = labels(batches(counting(n), batch_size=6, seed=3, start=0, stop=n))
    epochs = seen.reshape(6, n)
    assert (np.sort(epochs, axis=1) == np.arange(n)).all()
    assert len({tuple(e) for e in epochs}) > 1


def test_seeds_and_epochs_shuffle_differently():
    orders = [permutation(s, e, 50) for s in (0, 1, 2**64 - 1) for e in (0, 1)]
    assert len({tuple(o) for o in orders}) == 6


def test_without_shuffle_examples_come_in_order():
    it = batches(counting(5), batch_size=3, seed=0, start=0, stop=5, shuffle=False)
    assert labels(it).tolist() == [0, 1, 2, 3, 4] * 3


@pytest.mark.parametrize("start", [1, 7, 10])
def test_a_later_start_sees_the_same_batches(start):
    args = {"batch_size": 4, "seed": 1, "stop": 11, "flip": True}
    whole = list(batches(counting(9), start=0, **args))[start:]
    part = list(batches(counting(9), start=start, **args))
    assert len(part) == 11 - start
    for a, b in zip(whole, part, strict=True):
        assert all((a[k] == b[k]).all() for k in ("x", "cond"))


@pytest.mark.parametrize("stack", [1, 3, 4, 20])
def test_stacking_only_groups_steps(stack):
    source = counting(9)
    args = {"batch_size": 4, "seed": 5, "flip": True}
    items = list(batches(source, start=2, stop=13, stack=stack, **args))
    full, rest = divmod(11, stack)
    assert [len(b["x"]) for b in items] == [stack] * full + [rest] * (rest > 0)
    x = np.concatenate([b["x"] for b in items])
    assert x.shape == (11, 4, 1, 2, 1)
    for i, step in enumerate(range(2, 13)):
        assert (x[i] == batch_at(source, step, **args)["x"]).all()


@pytest.mark.parametrize("count", [2, 3, 6])
def test_processes_share_the_global_batch(count):
    args = {"batch_size": 6, "seed": 2, "start": 0, "stop": 4, "stack": 2, "flip": True}
    whole = list(batches(counting(20), **args))
    parts = [
        list(batches(counting(20), process_index=k, process_count=count, **args))
        for k in range(count)
    ]
    for i, batch in enumerate(whole):
        joined = np.concatenate([p[i]["x"] for p in parts], axis=1)
        assert (joined == batch["x"]).all()


def test_flip_mirrors_half_of_the_images():
    n = 4000
    x = batch_at(counting(n), 0, batch_size=n, seed=0, flip=True)["x"][:, 0, :, 0]
    number = np.abs(x[:, 0])
    mirrored = x[number > 0, 0] < 0
    assert (x[:, 0] == -x[:, 1]).all()
    # Six standard deviations of a binomial with p = 1/2.
    assert abs(mirrored.mean() - 0.5) < 6 * 0.5 / n**0.5


def test_flips_differ_between_steps_and_seeds():
    draws = [flips(s, i, 64).tobytes() for s in (0, 1) for i in (0, 1)]
    assert len(set(draws)) == 4


def test_mirroring_is_left_to_right():
    source = digits.make()
    args = {"batch_size": 32, "seed": 0}
    plain = batch_at(source, 0, **args)["x"]
    mirrored = batch_at(source, 0, flip=True, **args)["x"]
    turn = flips(0, 0, 32)
    assert (mirrored[turn] == plain[turn][:, :, ::-1]).all()
    assert (mirrored[~turn] == plain[~turn]).all()


@pytest.mark.parametrize("num_threads", [0, 1, 4])
def test_threads_change_nothing(num_threads):
    args = {"batch_size": 7, "seed": 1, "start": 0, "stop": 30}
    a = labels(batches(counting(50), num_threads=num_threads, **args))
    assert (a == labels(batches(counting(50), **args))).all()


def test_threads_end_when_the_iterator_is_dropped():
    before = set(threading.enumerate())
    it = batches(iris.make(), batch_size=150, seed=0, start=0, stop=10**9)
    list(islice(it, 3))
    threads = set(threading.enumerate()) - before
    assert threads
    del it
    gc.collect()
    deadline = time.monotonic() + 2
    while any(t.is_alive() for t in threads) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [t for t in threads if t.is_alive()]


class Named(NamedTuple):
    left: np.ndarray
    right: np.ndarray | None


def with_trees(n: int) -> Source:
    """As `counting`; the number is also in a condition with every kind of node."""

    def load(index):
        one = index.astype(np.float32)
        cond = {
            "vector": np.stack([one, -one], -1),
            "parts": (index[:, None, None], [Named(one, None)], None),
        }
        return {"x": one[:, None], "cond": cond}

    return Source(load, n, (1,), lambda x: x)


def test_a_condition_is_any_tree_and_stays_with_its_example():
    args = {"batch_size": 4, "seed": 1, "start": 0, "stop": 5, "stack": 2}
    for batch in batches(with_trees(9), **args):
        x, cond = batch["x"][..., 0], batch["cond"]
        assert set(cond) == {"vector", "parts"}
        np.testing.assert_array_equal(cond["vector"], np.stack([x, -x], -1))
        number, (named,), none = cond["parts"]
        np.testing.assert_array_equal(number, x[..., None, None])
        assert none is None and isinstance(named, Named) and named.right is None
        np.testing.assert_array_equal(named.left, x)


def test_some_examples_keep_their_conditions():
    some = take(with_trees(9), np.array([7, 2]))[np.arange(2)]
    np.testing.assert_array_equal(some["x"][:, 0], [7, 2])
    np.testing.assert_array_equal(some["cond"]["vector"], [[7, -7], [2, -2]])


def test_map_arrays_goes_over_trees_as_jax_does():
    a, b = np.arange(3), np.ones(2)
    tree = {"b": (a, None), "a": [b, Named(a, None)]}
    seen = []
    doubled = map_arrays(lambda x: seen.append(x) or 2 * x, tree)
    assert [x.tobytes() for x in seen] == [x.tobytes() for x in jax.tree.leaves(tree)]
    chex.assert_trees_all_equal(doubled, jax.tree.map(lambda x: 2 * x, tree))
    sums = map_arrays(np.add, tree, doubled)
    chex.assert_trees_all_equal(sums, jax.tree.map(lambda x: 3 * x, tree))
    assert map_arrays(np.add, None) is None


def test_no_steps_give_no_batches():
    source = counting(5)
    assert not list(batches(source, batch_size=2, seed=0, start=3, stop=3))


def test_tables_are_batched_too():
    args = {"batch_size": 150, "seed": 0, "start": 0, "stop": 3, "stack": 3}
    (batch,) = batches(iris.make(), **args)
    assert batch["x"].shape == (3, 150, 7)
    assert batch["x"].dtype == np.float32
    assert batch["cond"] is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 5, "process_count": 2}, "multiple of process_count"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"process_index": 1}, "process_index=1"),
        ({"seed": -1}, "seed=-1"),
        ({"start": 3, "stop": 2}, "start=3, stop=2"),
        ({"stack": 0}, "stack=0"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(change, words):
    args = {"batch_size": 4, "seed": 0, "start": 0, "stop": 2} | change
    with pytest.raises(ValueError, match=words):
        batches(counting(8), **args)


def test_tables_cannot_be_flipped():
    args = {"batch_size": 4, "seed": 0, "start": 0, "stop": 2}
    with pytest.raises(ValueError, match="flip=False"):
        batches(iris.make(), flip=True, **args)


def test_errors_in_a_thread_reach_the_reader():
    def load(index):
        raise OSError("disk gone")

    source = Source(load, 4, (1,), lambda x: x)
    with pytest.raises(OSError, match="disk gone"):
        next(batches(source, batch_size=2, seed=0, start=0, stop=2))


def test_synthetic_examples_do_not_depend_on_their_batch():
    source = synthetic.make((5, 4, 2), num_classes=3, num_examples=30, seed=7)
    whole = source[np.arange(30)]
    some = source[np.array([29, 3, 3])]
    assert (some["x"] == whole["x"][[29, 3, 3]]).all()
    assert (some["cond"] == np.array([29, 3, 3]) % 3).all()


def test_chunks_are_of_one_size_and_give_what_all_at_once_would():
    sizes = []

    def of(index):
        sizes.append(len(index))
        return {"square": index**2, "pair": (index, np.stack([index, -index], 1))}

    for n in (1, 8, 9, 20):
        got = map_chunks(of, n, 8)
        np.testing.assert_array_equal(got["square"], np.arange(n) ** 2)
        np.testing.assert_array_equal(got["pair"][1][:, 1], -np.arange(n))
    assert {*sizes} == {8} and len(sizes) == 1 + 1 + 2 + 3
