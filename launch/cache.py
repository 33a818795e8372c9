"""XLA's compiled programs on disk, so that a command compiles once, not at every start.

JAX keeps them and drops those that were used the longest time ago. What is added here:
every kind of machine has a folder of its own, and a program that has
changed since it was written is deleted, not executed.

JAXDIFF_CACHE=0 turns it off. JAX's variables come first: with JAX_COMPILATION_CACHE_DIR
or JAX_ENABLE_COMPILATION_CACHE=0 this file does nothing.
"""

import atexit
import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import stat
import sys
import time
import warnings
import zlib
from importlib.metadata import version
from pathlib import Path

import jax
from filelock import FileLock

from jaxdiff.files import write_json
from jaxdiff.notes import note

# Bytes of one folder, and days after which one that nobody used is deleted.
MOST, DAYS = 512 * 2**20, 90
# Small programs are many, and together take longer than the large one.
SETTINGS = {
    "jax_compilation_cache_max_size": MOST,
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}
SUMS = "sums.json"
# JAX's names: the lock that it takes to read or write, and the two files of an entry;
# the second, with the time of the last use, is written when the first is complete.
LOCK, ENTRY, USED = ".lockfile", "-cache", "-atime"
PATIENCE = 10.0  # seconds to wait for the lock


def use() -> None:
    """Let JAX keep its programs, before the first is compiled.

    A folder that cannot be used is reported in one line; programs are then compiled as
    if there were none.
    Errors: ValueError for another JAXDIFF_CACHE than 0 and 1.
    """
    values = jax.config.values
    setting = os.environ.get("JAXDIFF_CACHE", "1")
    if setting not in ("0", "1"):
        raise ValueError(
            f"JAXDIFF_CACHE must be 0, which is off, or 1, got {setting!r}"
        )
    chosen = values["jax_compilation_cache_dir"]
    if setting == "0" or chosen or not values["jax_enable_compilation_cache"]:
        return
    try:
        folder = place()
        _make_private(folder)
        _drop_unused(folder.parent)
        damaged = check(folder)
    except (OSError, RuntimeError) as error:  # also NotImplementedError, of locks
        note(f"no compilation cache: {' '.join(str(error).split())}")
        return
    if damaged:
        note(f"{damaged} damaged programs in {folder} are deleted and compiled again")
    settings = {k: v for k, v in SETTINGS.items() if k.upper() not in os.environ}
    for name, value in {**settings, "jax_compilation_cache_dir": str(folder)}.items():
        jax.config.update(name, value)
        os.environ[name.upper()] = str(value)  # for processes that this one starts
    _report_once(folder)


def place() -> Path:
    """The folder for this jaxlib on this machine. Errors: RuntimeError without a home.

    Programs for a CPU are machine code for its model, flags and number of cores, which
    JAX's key lacks: machines that share a home would end in SIGILL. The key has the
    rest, such as the kind of GPU and XLA's flags.
    """
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if os.path.isabs(home) else Path.home() / ".cache"
    system = f"{version('jaxlib')}-{sys.platform}-{platform.machine()}"
    digest = hashlib.sha256(_processor().encode()).hexdigest()[:12]
    return base / "jaxdiff" / "programs" / f"{system}-{digest}"


def _processor() -> str:
    """Model, flags and number of the cores that this process may use."""
    info = Path("/proc/cpuinfo")
    text = info.read_text(errors="replace") if info.is_file() else platform.processor()
    first = text.partition("\n\n")[0]
    kept = re.findall(r"(?m)^(?:vendor|model|flags|Features|CPU ).*$", first)
    allowed = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    return "\n".join([*(kept or [platform.processor()]), str(len(allowed(0)))])


def _make_private(folder: Path) -> None:
    """Errors: OSError for a folder in which others could put programs to execute."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if others or status.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to others, or they may write to it")
    os.utime(folder)


def _drop_unused(programs: Path) -> None:
    """Delete the folders of earlier versions."""
    for folder in programs.iterdir():
        if folder.stat().st_mtime < time.time() - DAYS * 24 * 3600:
            shutil.rmtree(folder, ignore_errors=True)


def check(folder: Path) -> int:
    """Delete entries that are incomplete or differ from their sum; the number of these.

    JAX never writes to an entry again. One of another time is another entry, which has
    no sum yet.
    """
    damaged, sums = 0, _sums(folder)
    with FileLock(folder / LOCK, timeout=PATIENCE):
        for path in folder.glob(f"*{ENTRY}"):
            used = path.with_name(path.name.removesuffix(ENTRY) + USED)
            written, crc = sums.get(path.name, (0, 0))
            same_time = written == path.stat().st_mtime_ns
            changed = same_time and crc != zlib.crc32(path.read_bytes())
            if changed or not used.is_file():
                path.unlink()
                damaged += 1
    return damaged


def sum_new(folder: Path, readable: bool) -> None:
    """Write the sums of new entries, or delete these if JAX could not read all."""
    with FileLock(folder / LOCK, timeout=PATIENCE):
        before, after = _sums(folder), {}
        for path in folder.glob(f"*{ENTRY}"):
            written = path.stat().st_mtime_ns
            if before.get(path.name, (0, 0))[0] == written:
                after[path.name] = before[path.name]
            elif readable:
                after[path.name] = written, zlib.crc32(path.read_bytes())
            else:
                path.unlink()
        if before != after:
            write_json(folder / SUMS, after)


def _sums(folder: Path) -> dict[str, tuple[int, int]]:
    """{entry: (when it was written, CRC-32)}"""
    try:
        stored = json.loads((folder / SUMS).read_text())
        return {name: (int(time), int(crc)) for name, (time, crc) in stored.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}  # damaged, too: JAX checks what it reads


def _report_once(folder: Path) -> None:
    """JAX warns of every program that it cannot read or write: one line is enough.

    One that it cannot read has no sum, or it would have been deleted at the start.
    """
    show, seen = warnings.showwarning, []
    about = "Error (reading|writing) persistent compilation cache"
    warnings.filterwarnings("always", message=about)

    def show_first(message, *args, **kwargs):
        text = " ".join(str(message).split())
        if not re.match(about, text):
            show(message, *args, **kwargs)
            return
        if not seen:
            note(f"no compilation cache: {text}")
        seen.append(text)

    def close():
        readable = not any(text.startswith("Error reading") for text in seen)
        with contextlib.suppress(OSError):  # the next start reports
            sum_new(folder, readable)

    warnings.showwarning = show_first
    atexit.register(close)
