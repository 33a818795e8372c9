"""The same work by another project's program, timed in turn with ours.

A program is a file of tests/peers, run by a Python that has what it needs. It is given
the work as JSON and then timed call by call (protocol.py there), in turn with ours, so
that a busy moment of the machine slows both.
"""

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxdiff import build, schema
from jaxdiff.arrays import require
from jaxdiff.data.source import Source
from jaxdiff.interop.diffusers_json import normal, unet_config
from jaxdiff.train import timing

# In a clone: the wheel holds the package alone.
PROGRAMS = Path(__file__).parents[3] / "tests" / "peers"
# The parameters of both clocks may differ by this share.
WITHIN = 0.01


class Peer(NamedTuple):
    """program: in PROGRAMS.  modules: what its Python needs.
    network: the model.name of the configs whose work it can do.
    work:    what it is given of that network
    """

    program: str
    modules: tuple[str, ...]
    network: str
    work: Callable[[ConfigDict, Source], dict[str, Any]]


def _unet(config: ConfigDict, source: Source) -> dict[str, Any]:
    classes = build.num_labels(config, source)
    rows = classes + (classes > 0 and config.diffusion.label_dropout > 0)
    require(
        config.model.norm_groups > 0,
        "a UNet2DModel has one number of groups for all norms: set "
        "--config.model.norm_groups, to 8 or 32 for example",
    )
    fields = normal(schema.flat(config))
    return {"network": unet_config(fields, source.shape, rows)}


def _widths(config: ConfigDict, source: Source) -> dict[str, Any]:
    names = ("channels", "multipliers", "num_blocks")
    return {name: config.model[name] for name in names}


PEERS = {
    "diffusers": Peer("diffusers_unet.py", ("torch", "diffusers"), "unet", _unet),
    "torch": Peer("basic_unet_torch.py", ("torch",), "basic_unet", lambda *_: {}),
    "keras": Peer("keras_ddim.py", ("keras", "jax"), "residual_unet", _widths),
}


def check(name: str, python: str, config: ConfigDict) -> None:
    """Errors: ValueError where the peer, its Python or its program does not fit."""
    peer = PEERS.get(name)
    require(peer, f"--against={name!r} must be one of {', '.join(PEERS)}")
    assert peer
    network = config.model.name
    require(
        network == peer.network,
        f"--against={name} is for model.name={peer.network!r}, and this config's is "
        f"{network!r}",
    )
    require(
        (PROGRAMS / peer.program).is_file(),
        f"there is no {PROGRAMS / peer.program}, the program to measure against: run "
        "launch.bench in a clone that is installed by pip install -e .",
    )
    code = "import os; os.environ.update(KERAS_BACKEND='jax'); import "
    test = [python, "-c", code + ", ".join(peer.modules)]
    require(
        subprocess.run(test, capture_output=True).returncode == 0,
        f"--peer_python={python} cannot import {' and '.join(peer.modules)}; "
        f"pip install {' '.join(peer.modules)} there",
    )


def work_of(name: str, what: str, config: ConfigDict, source: Source) -> dict[str, Any]:
    """What a peer is given: one call is a training step, an evaluation or a sample."""
    t, s = config.train, config.sampler
    return {
        "what": what,
        "shape": list(source.shape),
        "batch": s.batch_size if what == "sample" else t.batch_size,
        "steps": s.num_steps,
        "lr": 1e-3,
        "dtype": config.model.dtype,
        "clip_norm": t.clip_norm,
        "averages": t.ema != "constant(decay=0.0)",
        **PEERS[name].work(config, source),
    }


@contextlib.contextmanager
def started(name: str, python: str, work: dict[str, Any]) -> Iterator["Running"]:
    """The program, warm, until the block ends."""
    command = [python, str(PROGRAMS / PEERS[name].program)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield Running(process, work)
        finally:
            process.kill()


class Running:
    """facts: of the program: program, parameters, threads, dtype, first (s)."""

    def __init__(self, process: subprocess.Popen, work: dict[str, Any]) -> None:
        self._process = process
        self.facts = json.loads(self._send(json.dumps(work)))

    def seconds(self, calls: int) -> float:
        """Of each of so many calls."""
        return float(self._send(str(calls))) / calls

    def _send(self, line: str) -> str:
        assert self._process.stdin and self._process.stdout
        with contextlib.suppress(BrokenPipeError):  # it has no answer either
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        require(answer, "the other program ended; its own message stands above")
        return answer


def in_turn(
    call: Callable[[], Any],
    peer: Running,
    parameters: int,
    num_runs: int,
    units: int = 1,
) -> dict[str, Any]:
    """Seconds a unit of ours, of which a call is so many, and of the peer's, by run.

    A run is as many calls as take about a second, after as many that are not timed:
    meanwhile a virtual machine may have given free memory back to its host.
    Errors: ValueError if the two networks differ in size.
    """
    theirs = peer.facts["parameters"]
    require(
        abs(theirs - parameters) <= WITHIN * parameters,
        f"the other program has {theirs:,} parameters and ours {parameters:,}: no "
        "equal work",
    )

    def ours(calls):
        start = time.perf_counter()
        for _ in range(calls):
            last = call()
        jax.block_until_ready(last)
        return (time.perf_counter() - start) / calls / units

    clocks = {"ours": ours, "theirs": peer.seconds}
    calls = {k: max(1, round(1.0 / f(1))) for k, f in clocks.items()}
    times = {k: [] for k in clocks}
    for _ in range(num_runs):
        for k, f in clocks.items():
            f(calls[k])
            times[k].append(f(calls[k]))
    ratios = np.divide(times["ours"], times["theirs"])
    ratio = np.median(times["ours"]) / np.median(times["theirs"])
    return {
        "against": peer.facts["program"],
        "its parameters": theirs,
        "its threads, dtype": f"{peer.facts['threads']}, {peer.facts['dtype']}",
        "its ms": timing.spread(1e3 * np.array(times["theirs"])),
        "ms in turn": timing.spread(1e3 * np.array(times["ours"])),
        "ratio (below 1: ours is faster)": float(ratio),
        "its spread": f"{ratios.min():.3g} to {ratios.max():.3g}",
        "its first call, s": peer.facts["first"],
    }
