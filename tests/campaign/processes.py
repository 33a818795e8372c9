"""Launchers as processes of their own, which can be sent signals at any moment.

A warm process is a fork of this one, which has imported everything and touched no
device; a cold one is a new interpreter, and compiles what it needs.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

ROOT = Path(__file__).parents[2]
# Seconds after which a process counts as hanging. Cold ones compile, beside others.
PATIENCE = 300
CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# What decides the numbers is the same for all.
FLAGS = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_parallel_codegen_split_count=1"
)


def prepare(cache: Path) -> None:
    """Set the environment; before JAX is imported."""
    cache.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("XLA_FLAGS", FLAGS)
    os.environ |= {
        "PYTHONPATH": str(ROOT),
        "TQDM_DISABLE": "1",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAXDIFF_CACHE": "0",  # of those that start without the folder
    }
    # a shell starts what runs in the background with SIGINT ignored, and so it stays
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for signum in CAUGHT[1:]:
        signal.signal(signum, signal.SIG_DFL)
    warnings.simplefilter("ignore")  # of forking: no thread of JAX runs
    from tests.launch import forker  # noqa: F401


class Ended(NamedTuple):
    """status: of exit, or minus the signal that ended it; None after PATIENCE."""

    status: int | None
    out: str
    err: str
    seconds: float

    def last_line(self) -> str:
        return (self.err.strip().splitlines() or [""])[-1]


@dataclass
class Process:
    pid: int
    out: IO[bytes]
    err: IO[bytes]
    began: float
    status: int | None = None

    def running(self) -> bool:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is None

    def send(self, signum: int) -> bool:
        """Whether it was still there to get the signal."""
        if self.running():
            os.kill(self.pid, signum)
            return True
        return False

    def wait(self, patience: float = PATIENCE) -> Ended:
        """Until it has ended; what does not end is killed."""
        until = time.monotonic() + patience
        while self.running() and time.monotonic() < until:
            time.sleep(0.005)
        seconds, hangs = time.monotonic() - self.began, self.running()
        if hangs:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        texts = []
        for file in (self.out, self.err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
            file.close()
        return Ended(None if hangs else self.status, *texts, seconds)


def start(argv: tuple[str, ...], cold: bool = False) -> Process:
    """argv: module and arguments, as after `python -m`."""
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
    began = time.monotonic()
    if cold:
        env = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
        pid = subprocess.Popen(
            [sys.executable, "-m", "tests.campaign.cold", *argv],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=ROOT,
            env=env,
            start_new_session=True,
        ).pid
        return Process(pid, out, err, began)
    # what a signal raises between the fork and the child's first line is swallowed
    signal.pthread_sigmask(signal.SIG_BLOCK, CAUGHT)
    pid = os.fork()
    if not pid:
        _child(argv, out.fileno(), err.fileno())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, CAUGHT)
    return Process(pid, out, err, began)


def _child(argv, out, err):
    from tests.launch import forker

    status: object = 1
    try:
        os.setsid()
        os.chdir(ROOT)
        with open(os.devnull) as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, CAUGHT)
        sys.argv = [*argv]
        forker.runpy.run_module(argv[0], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code or 0
    except KeyboardInterrupt:  # as Python ends
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 1)


def run(argv: tuple[str, ...], patience: float = PATIENCE) -> Ended:
    return start(argv).wait(patience)
