"""Signals at random moments, again and again, until the command is let finish."""

import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.campaign import outputs, processes
from tests.campaign.commands import EVERY, Command
from tests.campaign.processes import Ended

# What is sent, the second after a random pause.
KINDS = {
    "SIGINT": (signal.SIGINT,),
    "SIGTERM": (signal.SIGTERM,),
    "double": (signal.SIGTERM, signal.SIGINT),
    "kill -9": (signal.SIGKILL,),
}
# Seconds that a cold process takes more, for its imports and compiling.
COLD = 8
# Lines that an interrupted command may print on standard error, notes included.
MOST_LINES = 3


class Whole(NamedTuple):
    """An uninterrupted command: its folder, its seconds when all is compiled, and those
    that it takes when everything is there.
    """

    folder: Path
    seconds: float
    idle: float


class Chain(NamedTuple):
    """A command in a folder of its own, interrupted by each of `kinds` in turn."""

    name: str
    command: Command
    folder: Path
    kinds: tuple[str, ...]
    whole: Whole
    progress: Callable[[Path], float]  # of what the folder holds, from 0 to 1
    cold: bool = False
    trains: bool = False


def run(chain: Chain, seed: int) -> dict[str, Any]:
    """Interrupt it, let it finish, and note faults and when the signals came."""
    gen, faults, moments = random.Random(f"{seed} {chain.name}"), [], Counter()
    before = 0
    for kind in chain.kinds:
        left = 1 - chain.progress(chain.folder)
        work = chain.whole.seconds - chain.whole.idle
        latest = chain.whole.idle + max(work, 0) * left + COLD * chain.cold
        moment = gen.uniform(0, latest)
        ended = interrupt(chain, kind, moment, gen.uniform(0, 0.2))
        notes = _status(kind, ended) + _lines(kind, ended, chain.cold)
        if chain.trains:
            notes += _kept(chain, kind, ended, before)
            before = outputs.newest(chain.folder)
        moments[_phase(ended)] += 1
        faults += [f"{kind} after {moment:.3f} s: {note}" for note in notes]
    if moments["finished"] == len(chain.kinds):
        faults.append("no signal has stopped it")
    ended = processes.run(chain.command)
    # one that had all files before is refused: they are there, and are not overwritten
    complete = ended.status == 0 or "is not empty; choose another" in ended.err
    if not complete:
        faults.append(f"the same command ends with {ended.status}: {ended.err[-2000:]}")
    elif chain.trains and f"at step {before}\n" not in ended.out and before:
        faults.append(f"does not resume at {before}: {ended.out[:200]}")
    faults += [f"{path} is empty" for path in outputs.empty(chain.folder)]
    return {"faults": faults, "moments": moments, "signals": len(chain.kinds)}


def interrupt(chain: Chain, kind: str, moment: float, pause: float) -> Ended:
    process = processes.start(chain.command, chain.cold)
    time.sleep(moment)
    first, *more = KINDS[kind]
    process.send(first)
    for signum in more:
        time.sleep(pause)
        process.send(signum)
    return process.wait()


def _status(kind: str, ended: Ended) -> list[str]:
    signums = KINDS[kind]
    # it ends by the signal itself before its handler stands
    allowed = {0, *(128 + s for s in signums), *(-s for s in signums)}
    if kind == "kill -9":
        allowed = {0, -signal.SIGKILL}
    allowed |= {2} if "is not empty; choose another" in ended.err else set()
    return [] if ended.status in allowed else [f"{ended.status}: {ended.err[-2000:]}"]


def _lines(kind: str, ended: Ended, cold: bool) -> list[str]:
    """One line, but where Python itself still imports what a launcher begins with."""
    lines = ended.err.strip().splitlines()
    importing = cold and not ended.out and ended.status == -signal.SIGINT
    if importing or (len(lines) <= MOST_LINES and "Traceback" not in ended.err):
        return []
    return [f"{len(lines)} lines: {ended.err[-2000:]}"]


def _phase(ended: Ended) -> str:
    if ended.status == 0 or "finished" in ended.out:
        return "finished"
    if "stopped at step" in ended.out or "\nstep " in ended.out:
        return "at work"
    return "at work" if "exist already" in ended.out else "start"


def _kept(chain: Chain, kind: str, ended: Ended, before: int) -> list[str]:
    """Of a run nothing is lost but the steps in flight."""
    newest, notes = outputs.newest(chain.folder), []
    resumed = re.search(r"at step (\d+)$", ended.out, re.M)
    if resumed and "resuming" in ended.out and int(resumed[1]) != before:
        notes.append(f"resumed at {resumed[1]}, and {before} was there")
    stopped = re.search(r"stopped at step (\d+)", ended.out)
    if stopped and int(stopped[1]) != newest:
        notes.append(f"stopped at {stopped[1]}, but {newest} is saved")
    logged = [int(k) for k in re.findall(r"^step (\d+) of", ended.out, re.M)]
    # where step k is logged, the last one that was due before is begun or in flight
    least = max([before, *((k - 1) // EVERY * EVERY - EVERY for k in logged[-1:])])
    if newest < least:
        notes.append(f"{newest} is the newest, of {logged[-1:]} and {before}")
    return notes
