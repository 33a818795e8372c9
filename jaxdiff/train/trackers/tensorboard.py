"""TensorBoard's events: scalars, samples, and the config as tables of text."""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX.proto import event_pb2, summary_pb2
from tensorboardX.record_writer import RecordWriter
from tensorboardX.summary import scalar, text

from jaxdiff import files
from jaxdiff.train.trackers import Fields, Start

Event = event_pb2.Event  # pyright: ignore
Summary = summary_pb2.Summary  # pyright: ignore
# TensorBoard's status for the start of a run: it drops events of later steps that an
# earlier run has written.
START = 1
# The folder in the workdir.
EVENTS = "tensorboard"
# Seconds between two moments at which TensorBoard can see what was written.
FLUSH_SECS = 10


def make() -> Start:
    return Start("TensorBoard", _Events)


class _Events:
    """A file of TensorBoard's events, written when its methods are called.

    tensorboardX writes in a thread, which ends when the disk is full; whoever logs next
    then waits for it for ever. Errors: NoRoom.
    """

    def __init__(self, workdir: Path, first: int, config: Fields) -> None:
        """first: the step from which on earlier files do not count."""
        self._folder = workdir / EVENTS
        about = f"{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        file = self._folder / f"events.out.tfevents.{about}"
        with files.writing(self._folder), files.whole(file) as part:
            self._file = RecordWriter(str(part))
            try:
                self._put(0, file_version="brain.Event:2")
                self._put(first, session_log={"status": START})
                if config:
                    self._put(first, summary=text("config", _tables(config)))
                self._file.flush()
            except BaseException:
                self.close()
                raise
        self._flushed = time.monotonic()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        with files.writing(self._folder):
            for name, value in values.items():
                self._put(step, summary=scalar(name, value))
            self._flush()

    def image(self, step: int, path: Path) -> None:
        data = path.read_bytes()
        # the header of a PNG has width and height at these bytes
        width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
        size = {"width": width, "height": height, "colorspace": 3}
        image = Summary.Image(encoded_image_string=data, **size)
        with files.writing(self._folder):
            value = Summary.Value(tag="samples", image=image)
            self._put(step, summary=Summary(value=[value]))
            self._flush()

    def close(self) -> None:
        with files.writing(self._folder):
            self._file.close()

    def _flush(self) -> None:
        if time.monotonic() - self._flushed > FLUSH_SECS:
            self._file.flush()
            self._flushed = time.monotonic()

    def _put(self, step: int, **what: Any) -> None:
        event = Event(wall_time=time.time(), step=step, **what)
        self._file.write(event.SerializeToString())


def _tables(config: Fields) -> str:
    """Markdown."""
    lines = []
    for title, fields in config.items():
        lines += [f"**{title}**", "", "| field | value |", "|---|---|"]
        for name, value in fields.items():
            shown = str(value).replace("|", "\\|").replace("\n", " ")
            lines.append(f"| {name} | {shown} |")
        lines.append("")
    return "\n".join(lines)
