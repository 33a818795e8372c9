"""Requests that wait, gathered into batches by one thread, which alone draws."""

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple


class BusyError(RuntimeError):
    """As many requests wait as may."""


class Waiting(NamedTuple):
    """request: what is drawn.  group: the same for those that may share a batch.
    num: its samples.  result: set once it is drawn
    """

    request: Any
    group: Hashable
    num: int
    result: Future


class Gatherer:
    """The oldest request is drawn next, with the others of its group that fit."""

    def __init__(
        self, draw: Callable[[Sequence[Any]], Sequence[Any]], size: int, most: int
    ) -> None:
        """draw: requests of one group -> a result or an error for each.
        size: samples of a batch.  most: requests that may wait.
        """
        self.draw, self.size, self.most = draw, size, most
        self.waiting: list[Waiting] = []
        self.changed = threading.Condition()
        threading.Thread(target=self._work, daemon=True).start()

    def submit(self, request: Any, group: Hashable, num: int) -> Future:
        """The future result of a request. Errors: BusyError."""
        with self.changed:
            if len(self.waiting) >= self.most:
                raise BusyError(
                    f"{self.most} requests wait already; try again in a moment"
                )
            self.waiting.append(Waiting(request, group, num, Future()))
            self.changed.notify()
            return self.waiting[-1].result

    def _work(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.waiting)
                batch = self._take()
            # those whose client has gone are not drawn
            self._run([w for w in batch if w.result.set_running_or_notify_cancel()])

    def _take(self) -> list[Waiting]:
        batch, others, room = [], [], self.size
        for waiting in self.waiting:
            fits = waiting.group == self.waiting[0].group and waiting.num <= room
            (batch if fits else others).append(waiting)
            room -= waiting.num if fits else 0
        self.waiting = others
        return batch

    def _run(self, batch: Sequence[Waiting]) -> None:
        """A batch that fails is drawn again one by one: only the culprits fail."""
        if not batch:
            return
        try:
            results = self.draw([w.request for w in batch])
        except Exception as error:  # reported to the client, whatever it is
            if len(batch) > 1:
                for waiting in batch:
                    self._run([waiting])
            else:
                batch[0].result.set_exception(error)
            return
        for waiting, result in zip(batch, results, strict=True):
            if isinstance(result, Exception):
                waiting.result.set_exception(result)
            else:
                waiting.result.set_result(result)
