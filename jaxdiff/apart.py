"""A function in a process of its own: the memory of its devices is free after it, its
compiled programs are gone, and if it crashes its caller continues.
"""

import contextlib
import multiprocessing as mp
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import jax
from tqdm.std import tqdm

from jaxdiff.stopping import Noted, Stopped

# Seconds between two checks for a signal.
PAUSE = 0.1
# What a function of jaxdiff raises where the cause is no bug; XLA's, of memory.
ERRORS = (
    *(ValueError, OSError, FloatingPointError, MemoryError),
    jax.errors.JaxRuntimeError,
)


class Failed(ValueError):
    """The function raised, or its process ended without a result."""


def run_apart(signals: Noted, cpu_devices: int, function: Callable, *args: Any) -> Any:
    """function(*args) in a new process, with that many devices if they are of a CPU.

    If this process notes a signal or ends, the new one gets a SIGTERM. Ctrl-C reaches
    this process alone.
    Errors: Failed; Stopped after a signal, when the function has ended.
    """
    context = mp.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(send, cpu_devices, function, args))
    with _without_interrupts():
        process.start()
    send.close()  # the other process has its end of it
    handed = False
    answer: tuple[str, Any] | None = None
    while answer is None and (receive.poll(PAUSE) or process.is_alive()):
        if receive.poll():
            with contextlib.suppress(EOFError):
                answer = receive.recv()
            break
        if signals.signum and not handed:
            handed = True
            os.kill(process.pid or 0, signal.SIGTERM)
    process.join()
    if signals.signum:
        raise Stopped(signals.signum, "stopped")
    if answer is None:
        raise Failed(f"the process ended by itself ({_status(process.exitcode)})")
    word, result = answer
    if word != "done":
        raise Failed(result)
    return result


@contextlib.contextmanager
def _without_interrupts():
    """A process that starts meanwhile never gets a Ctrl-C; this one gets it after."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _answer(send, cpu_devices, function, args) -> None:
    """In the new process: call the function, and send what it gives."""
    with contextlib.suppress(AttributeError, OSError):
        os.setsid()  # signals of the terminal come by way of the caller
    # tqdm's lock for several processes would be reported as leaked after a kill
    tqdm.set_lock(threading.RLock())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    jax.config.update("jax_num_cpu_devices", cpu_devices)
    try:
        send.send(("done", function(*args)))
    except ERRORS as error:
        text = str(error)
        if isinstance(error, jax.errors.JaxRuntimeError):
            text = text.partition("\n")[0]  # a table of buffers follows
        text = " ".join(text.split())
        send.send(("failed", text or type(error).__name__))
    except KeyboardInterrupt:  # the training loop has saved
        send.close()


def _end_with_parent() -> None:
    parent = mp.parent_process()
    if parent:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _status(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit status {code}"
