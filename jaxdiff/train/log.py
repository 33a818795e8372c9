"""The log of a run: metrics.jsonl, a line of JSON for each interval, and TensorBoard's
events of the same numbers.
"""

import contextlib
import json
import os
import shlex
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import RecordWriter
from tensorboardX.summary import scalar

from jaxdiff import files
from jaxdiff.notes import note

Event = event_pb2.Event  # pyright: ignore
# TensorBoard's status for the start of a run: it drops events of later steps that an
# earlier run has written.
START = 1
# The folder beside metrics.jsonl.
EVENTS = "tensorboard"
# Seconds between two moments at which TensorBoard can see what was written.
FLUSH_SECS = 10


class Log:
    """Opened at the step from which a run resumes; what came after it is cut off.

    Errors: ValueError that names file and line, as `read`; NoRoom for metrics.jsonl.
    Where there is no room for events, one line reports it and the run continues.
    """

    def __init__(self, path: Path, step: int) -> None:
        rows = [row for row in read(path) if row["step"] <= step]
        files.write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
        self._path, self._folder = path, path.with_name(EVENTS)
        self._events: _Events | None = None
        with self._or_without():
            self._events = _Events(self._folder, step + 1)

    def write(self, step: int, values: dict[str, float]) -> None:
        with files.writing(self._path), self._path.open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        if self._events:
            with self._or_without():
                self._events.write(step, values)

    def close(self) -> None:
        events, self._events = self._events, None
        if events:
            with self._or_without():
                events.close()

    @contextlib.contextmanager
    def _or_without(self) -> Iterator[None]:
        """Where events cannot be written, there are no more of them."""
        try:
            with files.writing(self._folder):
                yield
        except OSError as error:
            events, self._events = self._events, None
            if events:
                with contextlib.suppress(OSError):  # of what was not written yet
                    events.close()
            text = getattr(error, "what", error)
            note(f"{text}; the run continues without TensorBoard")


class _Events:
    """A file of TensorBoard's events, written when `write` is called.

    tensorboardX writes in a thread, which ends when the disk is full; whoever logs next
    then waits for it for ever.
    """

    def __init__(self, folder: Path, first: int) -> None:
        """first: the step from which on earlier files do not count."""
        about = f"{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        with files.whole(folder / f"events.out.tfevents.{about}") as part:
            self._file = RecordWriter(str(part))
            try:
                self._put(0, file_version="brain.Event:2")
                self._put(first, session_log={"status": START})
                self._file.flush()
            except BaseException:
                self.close()
                raise
        self._flushed = time.monotonic()

    def write(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._put(step, summary=scalar(name, value))
        if time.monotonic() - self._flushed > FLUSH_SECS:
            self._file.flush()
            self._flushed = time.monotonic()

    def close(self) -> None:
        self._file.close()

    def _put(self, step: int, **what: Any) -> None:
        event = Event(wall_time=time.time(), step=step, **what)
        self._file.write(event.SerializeToString())


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl; a last line cut short by a kill is left out.

    Errors: ValueError that names the line which is none of a log's.
    """
    rows = []
    if path.exists():
        for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
            rows.append(_row(path, number, line))
    return rows


def _row(path, number, line):
    try:
        row = json.loads(line)
        if not isinstance(row["step"], int) or not isinstance(row["loss"], int | float):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        begins = line[:40].decode(errors="replace").strip()
        quoted = shlex.quote(str(path))
        raise ValueError(
            f"{path}, line {number}: not a step with its loss, but {begins!r}. Delete "
            f"the line (sed -i {number}d {quoted}), or cut the log here (sed -i "
            f"'{number},$d' {quoted})"
        ) from None
    return row
