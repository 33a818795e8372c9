"""Tries made-up inputs: each is accepted, or refused by one of the project's checks.

An input may raise ValueError, OSError or FloatingPointError from a `raise` of jaxdiff,
or with the name of its file in the message. It may not take LIMIT seconds, write a
file, start a process or run code of its own. It is a function of (kind, seed, number).
"""

import contextlib
import signal
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from launch.cli import is_check

# Seconds of processor time, and so many times as many of the clock: machines are busy.
LIMIT, BUSY = 5.0, 12
# (rng, empty folder) -> what the input is, in words, and the call that gets it
Make = Callable[[np.random.Generator, Path], tuple[str, Callable[[], object]]]
# What a call may not do, by the names of Python's audit events.
FORBIDDEN = (
    *("os.system", "os.exec", "os.fork", "os.posix_spawn", "subprocess.Popen"),
    *("socket.connect", "shutil.rmtree", "os.remove", "os.rename", "pickle.find_class"),
)
EVENTS: list[str] = []
ARMED: list[bool] = []


class HangError(BaseException):
    """No Exception: nothing may catch it."""


class Row(NamedTuple):
    """Of one kind: numbers of inputs, seconds of the slowest, and what went wrong."""

    kind: str
    accepted: int
    refused: int
    slowest: float
    faults: list[str]


def run(kind: str, make: Make, num: int, seed: int, first: int = 0) -> Row:
    """Inputs `first` to first + num - 1 of a kind."""
    _listen()
    accepted, refused, slowest, faults = 0, 0, 0.0, []
    with tempfile.TemporaryDirectory() as top:
        for number in range(first, first + num):
            folder = Path(top) / f"{number}"
            folder.mkdir()
            rng = np.random.default_rng([zlib.crc32(kind.encode()), seed, number])
            text, call = make(rng, folder)
            start = time.process_time()
            verdict = _try(call, folder)
            slowest = max(slowest, time.process_time() - start)
            accepted += verdict == "accepted"
            refused += verdict == "refused"
            if verdict not in ("accepted", "refused"):
                faults.append(f"{kind} {number}: {text[:200]} -> {verdict}")
    return Row(kind, accepted, refused, slowest, faults)


def _try(call: Callable[[], object], folder: Path) -> str:
    before, verdict = _contents(folder), "accepted"
    EVENTS.clear()
    try:
        with _limited(), _armed():
            call()
    except HangError:
        verdict = f"takes more than {LIMIT:g} seconds"
    except (ValueError, OSError, FloatingPointError) as error:
        verdict = "refused"
        if not is_check(error) and folder.name not in str(error):
            verdict = f"not by a check: {_where(error)}"
    except Exception as error:
        verdict = _where(error)
    if EVENTS:
        verdict = f"does {', '.join(EVENTS[:3])}"
    if _contents(folder) != before:
        verdict = "writes files"
    return verdict


def _where(error: BaseException) -> str:
    last = error.__traceback__
    while last and last.tb_next:
        last = last.tb_next
    name = last.tb_frame.f_globals.get("__name__", "?") if last else "?"
    text = " ".join(str(error).split())
    return f"{type(error).__name__} in {name}: {text[:200]}"


def _contents(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*")}


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise HangError

    timers = {signal.SIGPROF: signal.ITIMER_PROF, signal.SIGALRM: signal.ITIMER_REAL}
    before = {signum: signal.signal(signum, stop) for signum in timers}
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    signal.setitimer(signal.ITIMER_REAL, LIMIT * BUSY)
    try:
        yield
    finally:
        for signum, timer in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(signum, before[signum])


@contextlib.contextmanager
def _armed() -> Iterator[None]:
    ARMED.append(True)
    try:
        yield
    finally:
        ARMED.clear()


def _note(event: str, args: tuple) -> None:
    if not ARMED:
        return
    if event == "open":
        path, mode, _ = args
        writes = isinstance(mode, str) and {*mode} & {*"wax+"}
        if writes and str(path) != "/dev/null" and "__pycache__" not in str(path):
            EVENTS.append(f"open {path}")
    elif event in FORBIDDEN:
        EVENTS.append(event)


def _listen() -> None:
    """A hook cannot be taken out again: one a process, that listens while armed."""
    if not getattr(sys, "jaxdiff_listens", False):
        sys.jaxdiff_listens = True  # type: ignore[attr-defined]
        sys.addaudithook(_note)
