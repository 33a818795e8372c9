"""Signals in the training loop: they are noted, and the loop ends at the next step.

A step donates the state before it, so that an exception in the middle of one loses the
run's parameters. Handlers stand only inside `with noted()`, and only in the main
thread. A signal that the process ignores (nohup) stays ignored.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

# An interrupt (Ctrl-C), a request to end (SLURM, preemption), a closed terminal.
SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
)
# So many of them end the process at once, whatever it writes.
AT_ONCE = 3


class Stopped(KeyboardInterrupt):
    """A run has stopped because of a signal, and everything is saved."""

    def __init__(self, signum: int, text: str) -> None:
        super().__init__(text)
        self.signum = signum


class Noted:
    """The signals that came: `signum` is the first, 0 for none.

    ended: whether the launcher ends the process while this is not `armed`
    """

    def __init__(self, ended: bool = False) -> None:
        self.signum = self._count = 0
        self.armed, self._ended = False, ended

    def arm(self) -> None:
        """Note signals from now on. Before the first step there is nothing to save, and
        they end the run at once.
        """
        if not self.armed and _in_main_thread():
            signal.set_wakeup_fd(-1)  # launch/cli.py: it would end the process
        self.armed = True

    def note(self, signum: int, frame: object) -> None:
        """The handler: the second waits for what is being saved, the third does not."""
        del frame
        # first of all: what is raised below is lost if Python runs a finaliser now
        self.signum = self.signum or signum
        if not self.armed:
            if not self._ended:
                raise Stopped(signum, "stopped before the first step")
            return
        self._count += 1
        if self._count >= AT_ONCE:
            os._exit(128 + signum)


@contextlib.contextmanager
def noted() -> Iterator[Noted]:
    """Inside, signals are noted instead of raised, from `arm` on."""
    before, wakeup = {}, -1
    if _in_main_thread():
        wakeup = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(wakeup)
    signals = Noted(ended=wakeup != -1)
    if _in_main_thread():
        for signum in SIGNALS:
            # None: a handler that was not set from Python, and cannot be set again
            if signal.getsignal(signum) not in (signal.SIG_IGN, None):
                before[signum] = signal.signal(signum, signals.note)
    try:
        yield signals
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        if before:
            signal.set_wakeup_fd(wakeup)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
