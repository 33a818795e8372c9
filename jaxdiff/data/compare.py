"""The data beside a run against its record: what differs, and in whose units.

Other values or rows are noted in one line, and are given in the run's own units. Other
columns, categories, classes or another shape are an error once a row is needed.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from jaxdiff.data import layout as layouts
from jaxdiff.data import record as records
from jaxdiff.data.fingerprints import of_files
from jaxdiff.data.latents import FirstStage
from jaxdiff.data.layout import Column, Layout
from jaxdiff.data.record import Record
from jaxdiff.data.source import Batch, Source, note_unread
from jaxdiff.notes import note

# Bytes of a table that sampling reads merely to compare it.
SMALL = 16 * 2**20


def recorded(
    record: Record,
    read: Callable[[], Source],
    first_stage: FirstStage | None = None,
    name: str = "",
    held: bool = False,
) -> Source:
    """The source of a record. Rows are read, and compared, once one is needed.

    Args:   read: gives the source with its rows.  first_stage: of codes.
            name: of the data, for messages.  held: whether some are held out.
    Errors: as `fit`, where the record does not hold how the data are decoded.
    """
    source = records.restore(record, first_stage)

    @cache
    def attempt() -> Source | Exception:
        if record.given:
            return ValueError(_not_given(record))
        try:
            return fit(record, read(), name)
        except FileNotFoundError as error:
            return FileNotFoundError(f"the run's data are missing: {error}")
        except (ValueError, OSError) as error:
            return error

    def rows() -> Source:
        made = attempt()
        if isinstance(made, Exception):
            raise made
        return made

    if source is None:
        return rows()
    if record.given:
        note(f"{_not_given(record)}. What needs no rows works without")

    def load(index: np.ndarray) -> Batch:
        return rows().load(index)

    def fingerprint() -> str:
        made = rows().fingerprint
        return made() if made else ""

    def holdout() -> Source:
        made = rows().holdout
        assert made, "the config holds examples out"
        return made()

    return replace(
        source,
        load=load,
        size=lambda: len(rows()),
        fingerprint=fingerprint,
        holdout=holdout if held else None,
    )


def _not_given(record: Record) -> str:
    return (
        f"{record.workdir} was trained on data given in Python, which are missing: "
        "give them again, as in jaxdiff.load(workdir, data=DATA) or jaxdiff.fit("
        "config, workdir=..., data=DATA)"
    )


def peek(record: Record | None, source: Source, path: str) -> None:
    """Note in one line if the files at `path` have changed, or nothing if they are not
    there. A small table is read and compared for that, in less than a second.
    """
    now = of_files(path) if record and record.files else ""
    if not record or now in ("", record.files):
        return
    file = Path(path).expanduser()
    if record.layout and file.stat().st_size <= SMALL:
        try:
            len(source)
        except (ValueError, OSError) as error:
            note_unread(error)
    else:
        _note_change(record, path, "other files, or other bytes in them")


def fit(record: Record | None, source: Source, name: str = "the Source") -> Source:
    """A source in the units of a record; the source itself without one.

    A source whose rows have not been read yet is compared without them.
    Errors: ValueError for other columns, categories, classes or another shape.
    """
    if record is None:
        return source
    differ = misfits(record, source)
    if differ:
        raise ValueError(
            f"the data in {name} do not fit {record.workdir}: {'; '.join(differ)}. "
            "Bring them back as they were (data.path), or train anew in another "
            "--workdir"
        )
    if callable(source.size) or not record.size:
        return source
    then, now = record.fingerprint, source.fingerprint and source.fingerprint()
    if record.given and not now:
        now = records.of_rows(source)
    other = records.total(source) != record.total or len(source) != record.size
    if other or (now and then and now != then):
        _note_change(record, name, _changes(record, source))
    return in_units(record.layout, source)


def _note_change(record: Record, name: str, what: str) -> None:
    if name in record.noted:
        return
    record.noted.add(name)
    note(
        f"{name} has changed since {record.workdir} was trained ({what}): units, "
        "columns and classes stay those of the run"
    )


def misfits(record: Record, source: Source) -> list[str]:
    """What a model of data with this record has no place for, in words."""
    if record.layout and source.layout:
        differ = _misfits_of_columns(record.layout, source.layout)
    else:
        same = (*source.shape,) == record.shape
        differ = [] if same else [f"shape {source.shape}, was {record.shape}"]
    if not record.size and record.num_classes in (0, source.num_classes):
        return differ  # the names are not known, and a model need not take the classes
    then, now = record.class_names, source.class_names
    differ += [f"no class {n!r}" for n in then if n not in now][:1]
    differ += [f"a new class {n!r}" for n in now if n not in then][:1]
    if sorted(then) == sorted(now) and then != now:
        differ.append(f"classes in another order, {', '.join(now)}")
    if source.num_classes != record.num_classes:
        differ.append(f"{source.num_classes} classes, were {record.num_classes}")
    conditioned = not source.num_classes and source.example_cond is not None
    if conditioned != record.conditioned:
        has, had = ("a condition", "none") if conditioned else ("no condition", "one")
        differ.append(f"{has}, had {had}")
    return differ


def _misfits_of_columns(then: Layout, now: Layout) -> list[str]:
    differ = [f"no column {n!r}" for n in then.names if n not in now.names]
    differ += [f"a new column {n!r}" for n in now.names if n not in then.names]
    for old in then.columns:
        if old.name not in now.names:
            continue
        new, column = now[old.name], f"column {old.name!r}"
        if bool(old.categories) != bool(new.categories):
            kinds = "numbers", "categories"
            was, is_ = (kinds[bool(c.categories)] for c in (old, new))
            differ.append(f"{column} has {is_}, had {was}")
            continue
        more, fewer = (
            [c for c in a.categories if c not in b.categories]
            for a, b in ((new, old), (old, new))
        )
        differ += [f"{column} has the new category {c!r}" for c in more[:1]]
        differ += [f"{column} has no category {c!r}" for c in fewer[:1]]
    return differ


def _changes(record: Record, source: Source) -> str:
    """Where other values or rows are, in words."""
    parts, then, now = [], record.layout, source.layout
    if records.total(source) != record.total:
        parts.append(f"{record.total} rows then, {records.total(source)} now")
    if then and now:
        shifts = {}
        for c in then.columns:
            if not c.categories:
                was, new = then.mean[c.start], now.mean[now[c.name].start]
                text = f"column {c.name!r} had mean {was:.4g}, has {new:.4g}"
                shifts[text] = abs(new - was) / then.std[c.start]
        # below a hundredth of a deviation the means would be printed as equal
        parts += [k for k, v in shifts.items() if v == max(shifts.values()) > 0.01]
    return ", ".join(parts) or "other values, or another order"


def in_units(layout: Layout | None, source: Source) -> Source:
    """A table in the columns and units of a layout of the same columns; so too what is
    held out of it.
    """
    now = source.layout
    if layout is None or now is None or _equal(layout, now):
        return source
    others = source.holdout
    place = np.concatenate([_places(c, now[c.name]) for c in layout.columns])
    x = source[np.arange(len(source))]["x"].astype(np.float64)
    raw = (x * now.std + now.mean)[:, place]
    with np.errstate(over="ignore"):
        x = ((raw - layout.mean) / layout.std).astype(np.float32)
    if not np.isfinite(x).all():
        raise ValueError("numbers are too far from those that the run was trained on")
    return replace(
        source,
        load=lambda index: {**source.load(index), "x": x[index]},
        decode=partial(layouts.decode, layout),
        layout=layout,
        holdout=others and (lambda: in_units(layout, others())),
    )


def _places(old: Column, new: Column) -> np.ndarray:
    """Where the columns of x that belong to `old` are among those of `new`."""
    order = [new.categories.index(c) for c in old.categories] or [0]
    return new.start + np.array(order)


def _equal(a: Layout, b: Layout) -> bool:
    same = np.array_equal(a.mean, b.mean) and np.array_equal(a.std, b.std)
    return same and a.columns == b.columns
