"""One writer a folder: a second process that would write to it is refused.

The lock is one of the operating system, which releases it when the process ends, in
whatever way. Who only reads takes none.
"""

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from jaxdiff.files import PARTS, write_json
from jaxdiff.notes import note

LOCK, OWNER = ".lock", ".lock.json"


@contextlib.contextmanager
def locked(folder: Path, patience: float = 0.0) -> Iterator[None]:
    """Inside, no other process writes to the folder. It is made, and stays if anything
    is written. What an earlier writer left unfinished is deleted.

    Of several processes of one run, the first locks it.  patience: seconds to wait for
    another writer.
    Errors: ValueError that names the host, process and start of who writes already.
    """
    import jax  # here, so that whoever reads the state of a lock does without

    if jax.process_index():
        yield
        return
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=patience)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"{folder} is being written by {_owner(folder)}; wait until it has ended, "
            "or choose another folder"
        ) from None
    except (NotImplementedError, OSError) as error:
        if isinstance(error, PermissionError):
            raise
        note(
            f"{folder} cannot be locked here ({error}): start no second command that "
            "writes to it"
        )
        yield
        return
    try:
        start = datetime.now(UTC).isoformat(timespec="seconds")
        about = {"host": socket.gethostname(), "pid": os.getpid(), "start": start}
        write_json(folder / OWNER, about)
        others = {path.parent for path in folder.glob(f"*/{LOCK}")}  # locked by others
        for part in (*folder.glob(PARTS), *folder.glob(f"*/{PARTS}")):
            if part.parent not in others:
                part.unlink(missing_ok=True)
        yield
    finally:
        for name in (OWNER, LOCK):
            (folder / name).unlink(missing_ok=True)
        if made and not any(folder.iterdir()):  # nothing was written
            folder.rmdir()
        lock.release()


def is_empty(folder: Path) -> bool:
    """Whether it holds nothing but hidden files (the lock), or does not exist."""
    inside = folder.iterdir() if folder.is_dir() else ()
    return all(path.name.startswith(".") for path in inside)


def is_held(folder: Path) -> bool:
    """Whether a process writes to it now, which is not disturbed."""
    if not (folder / OWNER).exists():
        return False
    with contextlib.suppress(OSError, ImportError), (folder / LOCK).open() as file:
        import fcntl  # of Unix

        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _owner(folder: Path) -> str:
    try:
        about = json.loads((folder / OWNER).read_text())
        return "process {pid} on {host} since {start}".format(**about)
    except (OSError, ValueError, KeyError):  # just about to write it
        return "another process"
