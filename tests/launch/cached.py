"""A program that is compiled as the launchers compile, in a new process.

argv: the cache's home, and options in JSON: how many processes run it at once, the most
bytes of the cache, and of a file, beyond which writing fails as on a full disk.
Prints a line a process, in JSON: the result's bits, programs read and programs made.
"""

import atexit
import collections
import hashlib
import json
import os
import resource
import sys

import jax
import jax.numpy as jnp

from launch import cache


def run(home: str, most: int = 0, largest: int = 0) -> None:
    os.environ.pop("JAXDIFF_CACHE", None)
    os.environ["XDG_CACHE_HOME"] = home
    jax.config.update("jax_compilation_cache_dir", None)  # of the suite
    cache.use()
    if most:
        jax.config.update("jax_compilation_cache_max_size", most)
    if largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    counts = collections.Counter()
    jax.monitoring.register_event_listener(lambda name, **_: counts.update([name]))
    x = jnp.linspace(-1.0, 1.0, 64).reshape(8, 8)
    for f in (lambda x: jnp.tanh(x @ x.T), lambda x: jnp.exp(x) / (1 + x * x)):
        x = jax.jit(f)(x)
    names = ("hits", "misses")
    read, made = (counts[f"/jax/compilation_cache/cache_{name}"] for name in names)
    bits = hashlib.sha256(jax.device_get(x).tobytes()).hexdigest()
    print(json.dumps([bits, read, made]), flush=True)


def main(home: str, options: dict[str, int]) -> None:
    processes = options.pop("processes", 1)
    children = []
    for _ in range(processes - 1):
        pid = os.fork()
        if not pid:
            children = []
            break
        children.append(pid)
    run(home, **options)
    atexit._run_exitfuncs()  # the forker ends without them
    for pid in children:
        os.waitpid(pid, 0)


main(sys.argv[1], json.loads(sys.argv[2]))
