"""The gatherer: who shares a batch, who waits, and who fails with whom."""

import threading

import pytest

from jaxdiff.runs.serve.gather import BusyError, Gatherer


class Draws:
    """Notes the batches it is given; holds the first until `go` is set."""

    def __init__(self):
        self.batches, self.go, self.busy = [], threading.Event(), threading.Event()

    def __call__(self, requests):
        self.batches.append(list(requests))
        self.busy.set()
        assert self.go.wait(30)
        if "worst" in requests:
            raise MemoryError("too much")
        return [ValueError(r) if r == "bad" else r.upper() for r in requests]


def gather(*requests, size=4, most=9):
    """The batches and the futures of requests (text, group, num) that come at once,
    while one before them is drawn.
    """
    draw = Draws()
    gatherer = Gatherer(draw, size, most)
    first = gatherer.submit("first", "none", 1)
    assert draw.busy.wait(30)
    try:
        futures = [gatherer.submit(*request) for request in requests]
    finally:
        draw.go.set()
    assert first.result(30) == "FIRST"
    return draw, futures


def test_the_oldest_is_next_with_those_of_its_group_that_fit():
    requests = [("a", 1, 2), ("b", 2, 1), ("c", 1, 3), ("d", 1, 2), ("e", 2, 1)]
    draw, futures = gather(*requests)
    assert [future.result(30) for future in futures] == [*"ABCDE"]
    assert draw.batches == [["first"], ["a", "d"], ["b", "e"], ["c"]]


def test_an_error_is_that_of_its_request_alone():
    draw, futures = gather(("a", 1, 1), ("bad", 1, 1), ("c", 1, 1))
    assert futures[0].result(30) == "A" and futures[2].result(30) == "C"
    with pytest.raises(ValueError, match="bad"):
        futures[1].result(30)
    assert len(draw.batches) == 2


def test_a_batch_that_fails_is_drawn_one_by_one():
    draw, futures = gather(("a", 1, 1), ("worst", 1, 1), ("c", 1, 1))
    assert futures[0].result(30) == "A" and futures[2].result(30) == "C"
    with pytest.raises(MemoryError, match="too much"):
        futures[1].result(30)
    assert draw.batches[2:] == [["a"], ["worst"], ["c"]]


def test_only_so_many_wait():
    with pytest.raises(BusyError, match="3 requests wait already"):
        gather(*[("a", 1, 1)] * 4, most=3)


def test_what_is_cancelled_is_not_drawn():
    draw = Draws()
    gatherer = Gatherer(draw, 4, 9)
    gatherer.submit("first", "none", 1)
    assert draw.busy.wait(30)
    futures = [gatherer.submit(name, 1, 1) for name in "ab"]
    assert futures[0].cancel()
    draw.go.set()
    assert futures[1].result(30) == "B" and draw.batches[1:] == [["b"]]
