"""Launchers set the flag for the same bits on a GPU, unless it is set."""

import os
import subprocess
import sys

import pytest

from launch import same_bits

ON = "--xla_gpu_exclude_nondeterministic_ops=true"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ON),
        ("--xla_dump_to=/tmp/a", f"--xla_dump_to=/tmp/a {ON}"),
        (ON.replace("true", "false"), ON.replace("true", "false")),
        (ON, ON),
        ("flags.txt", "flags.txt"),  # XLA reads this file
    ],
)
def test_the_flag_is_added_where_jax_has_a_plugin(monkeypatch, given, expected):
    environ = {} if given is None else {"XLA_FLAGS": given}
    before = dict(environ)
    monkeypatch.setattr(same_bits, "PLUGINS", "no_such_package")
    same_bits.use(environ)
    assert environ == before
    monkeypatch.setattr(same_bits, "PLUGINS", "email")
    same_bits.use(environ)
    assert environ == {"XLA_FLAGS": expected}


def test_this_jax_has_the_flag():
    """XLA ends a process at a flag that it does not have."""
    done = subprocess.run(
        [sys.executable, "-c", "import jax; print(jax.jit(lambda: 1)())"],
        env=os.environ | {"XLA_FLAGS": ON},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
