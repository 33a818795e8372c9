"""The log of a run: metrics.jsonl, a line of JSON for each interval, and the trackers
that repeat it.
"""

import contextlib
import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxdiff import files
from jaxdiff.notes import note
from jaxdiff.train.trackers import Fields, Start, Tracker


class Log:
    """Opened at the step from which a run resumes; what came after it is cut off.

    starts, config: the trackers, and what they show of the run.
    Errors: ValueError that names file and line, as `read`; NoRoom for metrics.jsonl.
    Where a tracker fails, one line reports it and the run continues.
    """

    def __init__(
        self, path: Path, step: int, starts: Sequence[Start], config: Fields
    ) -> None:
        rows = [row for row in read(path) if row["step"] <= step]
        files.write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
        self._path = path
        self._trackers: dict[str, Tracker] = {}
        for name, start in starts:
            with self._or_without(name):
                self._trackers[name] = start(path.parent, step + 1, config)

    def write(self, step: int, values: dict[str, float]) -> None:
        with files.writing(self._path), self._path.open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        for name, tracker in [*self._trackers.items()]:
            with self._or_without(name):
                tracker.scalars(step, values)

    def image(self, step: int, path: Path) -> None:
        """Samples, for the trackers."""
        for name, tracker in [*self._trackers.items()]:
            with self._or_without(name):
                tracker.image(step, path)

    def close(self) -> None:
        for name, tracker in [*self._trackers.items()]:
            with self._or_without(name):
                del self._trackers[name]
                tracker.close()

    @contextlib.contextmanager
    def _or_without(self, name: str) -> Iterator[None]:
        """A tracker that fails is closed, and given nothing more.

        Whatever it raises: it is for others to look at, and no part of the run.
        """
        try:
            yield
        except Exception as error:
            tracker = self._trackers.pop(name, None)
            if tracker:
                with contextlib.suppress(Exception):  # of what was not written yet
                    tracker.close()
            text = str(getattr(error, "what", error)).strip() or type(error).__name__
            note(f"{text.splitlines()[0]}; the run continues without {name}")


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
        row = json.loads(line, parse_int=files.whole_number)
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
