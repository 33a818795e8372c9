"""Signals: a run saves where it stopped, and the same command resumes it."""

import contextlib
import os
import signal
import threading

import jax
import pytest

from jaxdiff import stopping
from jaxdiff.runs.train import loop
from jaxdiff.train import parallel
from tests.runs.conftest import assert_same, at, numbers, read_state
from tests.slow import slow_but


@pytest.fixture(autouse=True)
def not_ignored():
    """nohup ignores SIGHUP, and shells SIGINT in what runs in the background."""
    before = {one: signal.getsignal(one) for one in stopping.SIGNALS}
    for one in before:
        signal.signal(one, signal.SIG_DFL)
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


def signalled(run, after, *signums):
    """The run, which gets signals in the middle of the step after `after` calls."""
    calls = []

    def step(state, batch, key):
        made = run.step(state, batch, key)  # the state before is donated from here on
        calls.append(1)
        if len(calls) == after + 1:
            for signum in signums:
                os.kill(os.getpid(), signum)
        return made

    return run._replace(step=step)


@pytest.mark.parametrize("signum", slow_but([signal.SIGTERM], stopping.SIGNALS))
def test_a_signal_saves_where_it_stopped(tmp_path, whole, signum):
    """Law 3, also for the log: the interval that was stopped has its line."""
    before = [signal.getsignal(one) for one in stopping.SIGNALS]
    run = at(whole[1], tmp_path / "run", log_every=4)
    with pytest.raises(KeyboardInterrupt, match="stopped at step 5; the same") as stop:
        loop.run(signalled(run, 4, signum))
    assert stop.value.signum == signum
    assert [signal.getsignal(one) for one in stopping.SIGNALS] == before
    stored = read_state(tmp_path / "run", run)
    assert stored is not None and int(stored.step) == 5
    assert [row["step"] for row in numbers(tmp_path / "run")] == [2, 4]
    state = loop.run(at(whole[1], tmp_path / "run", log_every=4))
    assert_same(state, whole[2])
    loop.run(at(whole[1], tmp_path / "uninterrupted", log_every=4))
    assert numbers(tmp_path / "run") == numbers(tmp_path / "uninterrupted")


def test_a_second_signal_waits_for_what_is_saved(tmp_path, whole):
    run = at(whole[1], tmp_path / "run")
    with pytest.raises(KeyboardInterrupt) as stop:
        loop.run(signalled(run, 4, signal.SIGTERM, signal.SIGINT))
    assert stop.value.signum == signal.SIGTERM
    assert int(read_state(tmp_path / "run", run).step) == 5


def test_a_third_signal_ends_at_once(monkeypatch):
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    with stopping.noted() as signals:
        signals.arm()
        for _ in range(2):  # shells ignore SIGINT in what runs in the background
            signal.raise_signal(signal.SIGTERM)
        assert not ended
        signal.raise_signal(signal.SIGTERM)
    assert ended == [143]


def test_before_the_first_step_a_signal_is_raised():
    with stopping.noted(), pytest.raises(KeyboardInterrupt, match="before the first"):
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_that_a_finaliser_swallows_stops_after_the_first_step(tmp_path, whole):
    class Swallows:
        def __del__(self):
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)

    run = at(whole[1], tmp_path / "run")

    def init():
        Swallows()
        return run.init()

    with pytest.raises(KeyboardInterrupt, match="stopped at step 1; the same"):
        loop.run(run._replace(init=init))


def test_where_a_launcher_ends_the_process_nothing_is_raised():
    receive, send = os.pipe()
    os.set_blocking(send, False)
    before = signal.set_wakeup_fd(send)
    try:
        with stopping.noted():
            signal.raise_signal(signal.SIGTERM)
        assert os.read(receive, 1) == bytes([signal.SIGTERM])
    finally:
        signal.set_wakeup_fd(before)


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        with stopping.noted() as signals:
            signals.arm()
            signal.raise_signal(signal.SIGHUP)
            assert signals.signum == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_no_handler_is_set():
    seen = []

    def work():
        with stopping.noted() as signals:
            signals.arm()
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


def test_several_processes_stop_where_they_log(monkeypatch):
    assert parallel.any_process(True) and not parallel.any_process(False)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(parallel, "any_process", lambda flag: True)  # of the other
    spans = [loop.Span(k, k + 1, 100) for k in range(20)]
    stops = [span.last for span in spans if loop._agreed(0, span, 10)]
    assert stops == [10, 20]
