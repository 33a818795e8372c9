"""What a run stores of its data, in data.json beside its config.

It holds what decoding and conditioning need, so that a run is sampled without its data,
and a fingerprint of the examples, so that a change is noticed (compare.py). A run
without this file is older, and reads its data at once.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxdiff.data import images, latents
from jaxdiff.data import layout as layouts
from jaxdiff.data.decoders import Codes, Pixels, Standardised
from jaxdiff.data.fingerprints import of_arrays, of_files
from jaxdiff.data.latents import FirstStage
from jaxdiff.data.layout import Column, Layout
from jaxdiff.data.source import Source, map_arrays
from jaxdiff.files import read_json, write_json

FILE = "data.json"
# Rows of a Source given in Python that go into its fingerprint, evenly spread.
MOST_ROWS = 1000


@dataclass(frozen=True)
class Record:
    """size, shape, num_classes, class_names, moments, checksum: as of the Source.

    size:        0 where the data have not been read: a converted model's, whose classes
                 have numbers for names
    held:        examples that are held out of training beside them
    conditioned: whether examples have another condition than a label
    fingerprint: of the values; "" if it is not known
    files:       fingerprints.of_files of the path; "" if nothing was read from one
    given:       whether the Source was given in Python
    decode:      {"low", "peak"} of pixels; {"columns", "mean", "std"} of a table;
                 {"images": their record} of codes; None if it cannot be stored
    workdir:     whose record it is
    noted:       data that have been noted to differ from it
    """

    size: int
    shape: tuple[int, ...]
    num_classes: int
    class_names: tuple[str, ...]
    conditioned: bool
    moments: tuple[Any, ...]
    checksum: str
    fingerprint: str
    files: str
    given: bool
    decode: dict[str, Any] | None
    held: int = 0
    workdir: Path | None = field(default=None, compare=False)
    noted: set[str] = field(default_factory=set, compare=False)

    @property
    def total(self) -> int:
        """The number of examples, with those held out."""
        return self.size + self.held

    @property
    def layout(self) -> Layout | None:
        """The columns of a table."""
        if not self.decode or "columns" not in self.decode:
            return None
        columns, start = [], 0
        for name, categories, decimals in self.decode["columns"]:
            stop = start + (len(categories) or 1)
            columns.append(Column(name, start, stop, tuple(categories), decimals))
            start = stop
        mean, std = (np.array(self.decode[k], np.float64) for k in ("mean", "std"))
        return Layout(tuple(columns), mean, std)


def of(source: Source, path: str = "", given: bool = False) -> Record:
    """The record of a source.

    path: of the files that it was read from, or "".
    given: it comes from Python; without a fingerprint some rows are read for one.
    Errors: ValueError for a source whose classes do not all have names.
    """
    if len(source.class_names) != source.num_classes:
        raise ValueError(
            f"a Source needs a name for each class, got {source.class_names} for "
            f"num_classes={source.num_classes}; give it class_names"
        )
    conditioned = not source.num_classes and source.example_cond is not None
    decode = None if conditioned else _describe(source)
    from_files = path and not given and not isinstance(_inner(source), Codes)
    digest = source.fingerprint() if source.fingerprint else ""
    return Record(
        size=len(source),
        shape=tuple(map(int, source.shape)),
        num_classes=int(source.num_classes),
        class_names=tuple(map(str, source.class_names)),
        conditioned=conditioned,
        moments=source.moments,
        checksum=source.checksum,
        fingerprint=digest or (of_rows(source) if given else ""),
        files=of_files(path) if from_files else "",
        given=given,
        decode=decode,
        held=total(source) - len(source),
    )


def total(source: Source) -> int:
    """The number of examples of a source, with those held out."""
    return len(source) + (len(source.holdout()) if source.holdout else 0)


def save(workdir: Path, record: Record) -> None:
    """Write data.json, unless that of data which were read is there."""
    before = load(workdir)
    if before is None or not before.size:
        write_json(workdir / FILE, _plain(record))


def load(workdir: Path | None) -> Record | None:
    """The record of a run; None for one without, and for no workdir.

    Errors: ValueError that names the file if it is damaged or was edited.
    """
    if workdir is None or not (workdir / FILE).is_file():
        return None
    path = workdir / FILE
    raw = read_json(path)
    try:
        return replace(_parse(raw), workdir=workdir)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise ValueError(
            f"{path} is damaged or edited ({error}); bring it back from a copy, or "
            "delete it: the data are then read instead, and not compared"
        ) from None


def restore(record: Record, first_stage: FirstStage | None) -> Source | None:
    """The source of a record, without any rows; None if its decode is not stored.

    first_stage: of codes. Errors: ValueError if it is another one.
    """
    made = _restore(record, first_stage)
    if made is None or not record.moments:
        return made
    return images.standardise(made, *record.moments)


def _restore(record, first_stage):
    label = np.zeros(1, np.int32) if record.num_classes else None
    about = {
        "size": 0,
        "num_classes": record.num_classes,
        "class_names": record.class_names,
        "checksum": record.checksum,
        "example": {"cond": label},
    }
    decode, layout = record.decode, record.layout
    if layout:
        about |= {"layout": layout, "decode": partial(layouts.decode, layout)}
        return Source(_no_rows, shape=record.shape, **about)
    if not decode:
        return None
    if "images" in decode:
        inner = restore(_parse(decode["images"]), None)
        if inner is None or first_stage is None:
            return None
        latents.check(first_stage, record.checksum)
        return replace(
            latents.of_codes(first_stage, inner, record.shape), **about, load=_no_rows
        )
    pixels = Pixels(decode["low"], decode["peak"])
    about |= {"bounds": (pixels.low, 1.0), "peak": pixels.peak, "decode": pixels}
    return Source(_no_rows, shape=record.shape, **about)


def _no_rows(index: np.ndarray) -> Any:
    raise ValueError("the record of a run has no rows")


def _describe(source: Source) -> dict[str, Any] | None:
    """The decode of a source as Record.decode; None if it is another function."""
    decode, layout = source.decode, source.layout
    if layout and getattr(decode, "func", None) is layouts.decode:
        columns = [[c.name, [*c.categories], c.decimals] for c in layout.columns]
        mean, std = layout.mean.tolist(), layout.std.tolist()
        return {"columns": columns, "mean": mean, "std": std}
    decode = _inner(source)
    if isinstance(decode, Pixels):
        return decode._asdict()
    if isinstance(decode, Codes) and decode.images and decode.images.decode:
        return {"images": _plain(decode.images)}
    return None


def _inner(source: Source) -> Any:
    """The decode of a source before it was standardised."""
    decode = source.decode
    return decode.decode if isinstance(decode, Standardised) else decode


def of_rows(source: Source) -> str:
    """A fingerprint of rows in model units, evenly spread, for a source without one."""
    index = np.unique(np.linspace(0, len(source) - 1, MOST_ROWS).astype(int))
    arrays = []
    map_arrays(arrays.append, source[index])
    return of_arrays(*arrays)


def _plain(record: Record) -> dict[str, Any]:
    return {k: v for k, v in asdict(record).items() if k not in ("workdir", "noted")}


def _parse(raw: Any) -> Record:
    """A record from JSON. Errors: KeyError, TypeError, ValueError for what is none."""
    kinds = {"num_classes": int, "conditioned": bool, "given": bool, "size": int}
    kinds |= dict.fromkeys(("checksum", "fingerprint", "files"), str)
    kinds |= dict.fromkeys(("shape", "class_names", "moments"), list)
    plain = {name: _typed(raw[name], kind, name) for name, kind in kinds.items()}
    plain["held"] = _typed(raw.get("held", 0), int, "held")  # older runs hold none out
    for name, kind in (("shape", int), ("class_names", str), ("moments", list)):
        plain[name] = tuple(_typed(v, kind, name) for v in plain[name])
    size, shape = plain["size"], plain["shape"]
    right = 0 <= size < 2**31 and all(1 <= n < 2**31 for n in shape)
    _check(shape and right, "size or shape")
    _check(len(plain["class_names"]) == plain["num_classes"], "class_names")
    plain["moments"] = tuple(tuple(map(_number, m)) for m in plain["moments"])
    widths, stds = {*map(len, plain["moments"])}, [*plain["moments"][1:]]
    right = len(stds) == 1 and widths == {plain["shape"][-1]} and min(stds[0]) > 0
    _check(right or not plain["moments"], "moments")
    record = Record(**plain, decode=_parse_decode(raw["decode"]))
    if record.layout:
        _check((len(record.layout.mean),) == record.shape, "decode")
    return record


def _parse_decode(raw: Any) -> dict[str, Any] | None:
    if raw is None:
        return None
    if "images" in _typed(raw, dict, "decode"):
        _parse(raw["images"])
    elif "columns" in raw:
        mean, std = ([_number(v) for v in raw[k]] for k in ("mean", "std"))
        for name, categories, decimals in raw["columns"]:
            texts: Sequence[str] = [_typed(c, str, "columns") for c in categories]
            _typed(name, str, "columns")
            _check(decimals is None or type(decimals) is int, "columns")
            _check(len(set(texts)) == len(texts), "columns")
        width = sum(len(categories) or 1 for _, categories, _ in raw["columns"])
        _check(len(mean) == len(std) == width and min(std) > 0, "std")
    else:
        _check(_number(raw["low"]) < 1 and _number(raw["peak"]) > 0, "low and peak")
    return raw


def _number(value: Any) -> float:
    _check(type(value) in (int, float) and math.isfinite(value), f"number {value!r}")
    return float(value)


def _typed(value: Any, kind: type, name: str) -> Any:
    _check(type(value) is kind, name)
    return value


def _check(condition: bool, name: str) -> None:
    if not condition:
        raise ValueError(f"its {name} cannot be right")
