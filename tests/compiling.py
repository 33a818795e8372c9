"""How tests see that nothing is compiled twice.

`traced_once` is for a function of the test's own. `compilations` is for what the
product compiles by itself: what `jit` and `pmap` keep cannot be wrapped.
"""

import logging

import chex
import jax
import pytest


@pytest.fixture
def traced_once():
    """(function) -> its jit, which raises AssertionError when it is traced again."""
    chex.clear_trace_counter()

    def jit(function):
        return jax.jit(chex.assert_max_traces(function, n=1))

    return jit


class Compilations(logging.Handler):
    """The names of the functions that XLA compiled."""

    def __init__(self):
        super().__init__()
        self.names = []

    def emit(self, record):
        text = record.getMessage()
        if text.startswith("Compiling"):
            self.names.append(text.split()[1])


@pytest.fixture
def compilations():
    from jaxdiff.runs import batched

    # Samplers that other files compiled. To clear all of JAX's caches would cost the
    # files after this one many seconds.
    batched._pmapped.cache_clear()
    handler, log = Compilations(), logging.getLogger("jax")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.WARNING)
    log.propagate = False  # a page a compilation
    with jax.log_compiles(True):
        yield handler
    log.propagate = True
    log.removeHandler(handler)
    log.setLevel(level)
