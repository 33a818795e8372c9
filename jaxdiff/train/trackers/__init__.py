"""Where the log of a run, its samples and its config also go: a file a tracker.

`make(...)` checks what a tracker needs, before any work, and gives its Start. A tracker
only repeats what the workdir has: where it fails, the run continues without it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

# Title -> {field: value}: the fields of a config in groups, to be shown in this order.
Fields = Mapping[str, Mapping[str, Any]]


class Tracker(Protocol):
    """scalars: values of a line of metrics.jsonl, at its step
    image:   samples of a step, a PNG
    close:   writes all that it has been given
    """

    def scalars(self, step: int, values: Mapping[str, float]) -> None: ...
    def image(self, step: int, path: Path) -> None: ...
    def close(self) -> None: ...


class Start(NamedTuple):
    """name: what the tracker is called, for a note
    open: (workdir, the first step to come, config) -> a tracker that shows the config
    """

    name: str
    open: Callable[[Path, int, Fields], Tracker]
