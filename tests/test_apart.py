"""A function in a process of its own: its result, its errors, and its end."""

import os
import signal
import time

import jax.numpy as jnp
import pytest

from jaxdiff import apart
from jaxdiff.stopping import Noted, Stopped, noted


def double(x):
    if x < 0:
        raise ValueError("x must not\nbe negative")
    if x == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    while x == 7:
        time.sleep(0.01)
    return 2 * x


def test_a_process_apart_gives_results_errors_and_its_end():
    assert apart.run_apart(Noted(), 1, double, 4) == 8
    with pytest.raises(apart.Failed, match=r"^x must not be negative$"):
        apart.run_apart(Noted(), 1, double, -1)
    with pytest.raises(apart.Failed, match="SIGKILL"):
        apart.run_apart(Noted(), 1, double, 0)


def exhausted(x):
    return jnp.zeros((x, 2**40)) + 1


def test_exhausted_memory_is_one_line():
    """XLA's own message has many."""
    with pytest.raises(apart.Failed) as caught:
        apart.run_apart(Noted(), 1, exhausted, 2**10)
    assert "emory" in str(caught.value) and "\n" not in str(caught.value)


@pytest.fixture
def interruptible():
    """Also in the background, where the shell makes the suite ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process(signum, interruptible):
    with noted() as signals:
        signals.arm()
        os.kill(os.getpid(), signum)
        with pytest.raises(Stopped) as caught:
            apart.run_apart(signals, 1, double, 7)
    assert caught.value.signum == signum


def blocks_interrupts():
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_ctrl_c_reaches_this_process_alone():
    assert apart.run_apart(Noted(), 1, blocks_interrupts) and not blocks_interrupts()
