"""Examples that are held out of training: a share of the data, or another split.

(1)  an example is held out where its number in [0, 1) is below the share: other seeds,
     more steps and a run that resumes hold out the same ones
(2)  the number of an image is a hash of its values: images that are added move no other
     one, identical images are on one side, and share n of n images are held out up to
     some sqrt(share (1 - share) n)
(3)  the number of a row of a table, and of an image where all together have more than
     MOST_VALUES values to hash, is its place in an order that depends on n alone:
     round(share n) are held out, and others if n changes (`check_same`)
(4)  the last example of each class, and of each category of a table, is trained on,
     which an added one may become

Rows of a table are assigned one by one: equal rows are part of its distribution. From
another split, images that are trained on too are left out.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from jaxdiff.data import compare, table
from jaxdiff.data import record as records
from jaxdiff.data.batches import dealt
from jaxdiff.data.latents import FirstStage
from jaxdiff.data.source import Batch, Source, take

# About 10 seconds of hashing: 340,000 images of 28x28, or 87,000 of 32x32 in colour.
MOST_VALUES, BATCH = 2**28, 1024


def read(
    make: Callable[..., Source],
    block: dict[str, Any],
    splits: bool = False,
    first_stage: FirstStage | None = None,
) -> Source:
    """make(block, first_stage=first_stage) after `split`.

    Args:   block: config.data.  splits: whether the source takes a split by name.
            first_stage: of codes.
    """
    make = partial(make, first_stage=first_stage)

    def other(name: str) -> Source:
        # it may be in other files
        return make({**block, "split": name, "checksum": ""})

    images = first_stage and first_stage.source
    return split(make(block), block["holdout"], other if splits else None, images)


def split(
    source: Source,
    holdout: str,
    read: Callable[[str], Source] | None = None,
    images: Source | None = None,
) -> Source:
    """The examples to train on; its `holdout` gives the others, in the same units.

    Args:   holdout: "" for none, a share (".1"), or the name of a split.
            read: gives a split by name; None for data without splits.
            images: of codes, those that they are codes of, which decide who is held
            out. A source that has a holdout already stays itself.
    Errors: ValueError for a share out of range or that holds out none or all, a name
            where there are no splits, and a split that does not fit.
    """
    if not holdout or source.holdout:
        return source
    share = _share(holdout)
    if share is not None:
        return _parted(source, rows(images or source, share), holdout)
    if read is None:
        raise ValueError(
            f"data.holdout={holdout!r} names a split, and these data have none; give a "
            "share of their examples, such as .1"
        )
    return _beside(source, read(holdout), holdout)


def _share(holdout: str) -> float | None:
    """The share; None for the name of a split."""
    try:
        share = float(holdout)
    except ValueError:
        return None
    if not 0 < share < 1:
        raise ValueError(
            f"data.holdout={holdout}: a share must be above 0 and below 1, such as .1"
        )
    return share


def rows(source: Source, share: float) -> np.ndarray:
    """Which examples are held out, i64[m] in rising order, equations 1 to 4.

    Errors: ValueError for a share that holds out none or leaves none.
    """
    n = len(source)
    place, classes = _places(source)
    held = place < share
    for number in classes:
        last = np.zeros(number.max() + 1)
        np.maximum.at(last, number, place)
        held &= ~np.isin(place, last)
    if not held.any() or held.all():
        what = "all of them" if held.all() else "none"
        raise ValueError(
            f"data.holdout={share:g} of {n} examples is {what}: give another share. "
            "Identical images stay together, and one example of each class or category "
            "is trained on"
        )
    return np.flatnonzero(held)


def check_same(source: Source, images: Source, holdout: str, then: int) -> None:
    """Of a run that resumes: ValueError where its data, which were `then` examples with
    those held out, have another number now, and others would be held out so.
    """
    if not source.holdout or _share(holdout) is None:
        return
    now = records.total(source)
    if now != then and _by_order(images, max(now, then)):
        raise ValueError(
            f"data.holdout={holdout} of {now} examples, where the run began with {then}"
            ", holds others out, some of which are trained on already: bring the data "
            "back as they were, or train anew in another --workdir"
        )


def _by_order(source: Source, n: int) -> bool:
    """Whether (3) holds."""
    return bool(source.layout) or n * int(np.prod(source.shape)) > MOST_VALUES


def _places(source: Source) -> tuple[np.ndarray, list[np.ndarray]]:
    """The number of each example, f64[n] in [0, 1), equations 2 and 3, and the numbers
    of its classes and categories.
    """
    n, layout = len(source), source.layout
    place = np.empty(n)
    place[dealt(n)] = (np.arange(n) + 0.5) / n
    if n * int(np.prod(source.shape)) > MOST_VALUES:
        return place, []
    digests, classes = [], []
    for batch in _batches(source):
        if source.num_classes:
            classes.append(batch["cond"][:, None])
        if layout:
            blocks = [batch["x"][:, c.start : c.stop] for c in layout.columns]
            several = [b.argmax(1)[:, None] for b in blocks if b.shape[1] > 1]
            classes += [np.concatenate(several, 1)] if several else []
        else:
            digests += _digests(batch["x"])
    if digests:
        place = np.frombuffer(b"".join(digests), ">u8") / 2.0**64
    return place, [*np.concatenate(classes).T] if classes else []


def _digests(x: np.ndarray) -> list[bytes]:
    return [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in x]


def _batches(source: Source) -> Iterator[Batch]:
    n, starts = len(source), range(0, len(source), BATCH)
    for at in tqdm(
        starts, "comparing examples for data.holdout", delay=1.0, leave=False
    ):
        yield source[np.arange(at, min(at + BATCH, n))]


def _parted(source: Source, held: np.ndarray, holdout: str) -> Source:
    """The examples that are not held out, and the others as their `holdout`."""
    n, part = len(source), np.setdiff1d(np.arange(len(source)), held)
    training, others = take(source, part), take(source, held)
    if source.layout:
        try:
            units = table.take(source, part)
        except ValueError as error:
            raise ValueError(f"data.holdout={holdout}: {error}") from None
        training = compare.in_units(units.layout, training)
        others = compare.in_units(units.layout, others)
    line = f"{len(held):,} of {n:,} examples are held out (data.holdout={holdout})"
    return replace(
        training,
        holdout=lambda: others,
        notes=(*source.notes, line),
        fingerprint=source.fingerprint,
    )


def _beside(source: Source, other: Source, holdout: str) -> Source:
    """A source with the examples of another split as its `holdout`."""
    differ = compare.misfits(records.of(source), other)
    if differ:
        raise ValueError(
            f"data.holdout={holdout} does not fit the examples to train on: "
            f"{'; '.join(differ)}. Give a share of them, such as .1"
        )
    both = source.fingerprint, other.fingerprint
    line = f"{len(other):,} examples are held out (data.holdout={holdout})"
    if source.layout:
        other = compare.in_units(source.layout, other)
    elif len(source) * int(np.prod(source.shape)) <= MOST_VALUES:
        known = {d for batch in _batches(source) for d in _digests(batch["x"])}
        some = [
            d not in known for batch in _batches(other) for d in _digests(batch["x"])
        ]
        if not all(some):
            line += f", without {len(some) - sum(some):,} that are trained on too"
        if not any(some):
            raise ValueError(
                f"data.holdout={holdout} has no image that is not trained on too; give "
                "another split, or a share such as .1"
            )
        other = other if all(some) else take(other, np.flatnonzero(some))

    def fingerprint() -> str:
        return " ".join(digest() for digest in both if digest)

    return replace(
        source,
        holdout=lambda: other,
        notes=(*source.notes, line),
        fingerprint=fingerprint if all(both) else source.fingerprint,
    )
