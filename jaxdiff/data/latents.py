"""The codes of a first stage as a data set: images are encoded once, codes are kept.

FOLDER/CHECKSUM/ holds codes.npy and the conditions: labels.npy, or for other conditions
one file per array, cond-0.npy, cond-1.npy, ... All are read from disk by index, so a
large data set needs no memory. Another encoder has another checksum, hence other codes.
images.txt is the fingerprint of the images.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from tqdm.auto import tqdm

from jaxdiff.data.batches import map_chunks
from jaxdiff.data.decoders import Codes
from jaxdiff.data.source import Batch, Source, map_arrays
from jaxdiff.files import open_array, writing
from jaxdiff.lock import locked
from jaxdiff.notes import note

# How many images are encoded or decoded at once.
CHUNK = 250
IMAGES = "images.txt"


class FirstStage(NamedTuple):
    """The autoencoder whose codes are the data.

    source:   the images
    encode:   f32[b, *source.shape] in model units -> f32[b, *latent]
    decode:   the inverse of encode, as far as there is one
    checksum: of the encoder and of what it encodes
    folder:   where codes are kept
    images:   the Record of the images that it was trained on (record.py), or None
    """

    source: Source
    encode: Callable[[np.ndarray], np.ndarray]
    decode: Callable[[np.ndarray], np.ndarray]
    checksum: str
    folder: Path
    images: Any = None


def make(first_stage: FirstStage, checksum: str = "") -> Source:
    """The codes of the first stage, in the encoder's units. Decoded, they are images.

    Args:   checksum: that of the first stage; "" accepts any.
    Errors: ValueError if the checksum differs, if another process encodes, or for codes
            that are damaged.
    """
    check(first_stage, checksum)
    kept = first_stage.folder / first_stage.checksum
    if not kept.exists():
        with locked(first_stage.folder):
            if not kept.exists():  # another process may have just written it
                encode(first_stage, kept)
    inner, cure = first_stage.source, f"delete {kept}, and the images are encoded anew"
    codes = open_array(kept / "codes.npy", None, np.float32, None, cure)
    files = _cond_files(inner, kept)

    def read(example: np.ndarray) -> np.ndarray:
        row = example.shape[1:]
        return open_array(next(files), len(codes), example.dtype, row, cure)

    cond = map_arrays(read, inner.example_cond)

    def load(index: np.ndarray) -> Batch:
        stored = {"x": codes, "cond": cond}
        return map_arrays(lambda a: np.asarray(a[index]), stored)

    images, trained_on = _images_of(kept), first_stage.images
    if images and trained_on and trained_on.fingerprint not in ("", images):
        note(
            f"the codes in {kept} are of other images than the autoencoder was trained "
            "on; delete that folder to encode anew"
        )
    return replace(
        of_codes(first_stage, inner, codes.shape[1:]),
        load=load,
        size=len(codes),
        fingerprint=lambda: images and f"{first_stage.checksum} {images}",
    )


def check(first_stage: FirstStage, checksum: str) -> None:
    """ValueError for another checksum than the first stage has; "" accepts any."""
    if checksum not in ("", first_stage.checksum):
        raise ValueError(
            f"data.checksum={checksum}, but the encoder in {first_stage.folder.parent} "
            f"has {first_stage.checksum} now: these codes are not those that the run "
            "was trained on. Give the encoder's run as it was (data.path), or train "
            "anew in another --workdir"
        )


def of_codes(first_stage: FirstStage, inner: Source, shape: tuple[int, ...]) -> Source:
    """A source of images as one of their codes of that shape; it still loads images."""
    return replace(
        inner,
        shape=shape,
        decode=Codes(
            partial(in_chunks, first_stage.decode), inner.decode, first_stage.images
        ),
        bounds=None,
        moments=(),
        checksum=first_stage.checksum,
        holdout=None,
    )


def _images_of(kept: Path) -> str:
    """The fingerprint of the images of these codes; "" where it is not known."""
    path = kept / IMAGES
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def encode(first_stage: FirstStage, kept: Path) -> None:
    """Write the codes of every image to the folder `kept`, which is complete or absent.

    A progress bar appears if this takes over a second. Errors: NoRoom.
    """
    source, part = first_stage.source, kept.with_suffix(".part")
    stores, starts = None, range(0, len(source), CHUNK)
    shutil.rmtree(part, ignore_errors=True)  # left by a run that was cut short
    with writing(kept), contextlib.ExitStack() as stack:
        part.mkdir(parents=True)
        for i in tqdm(starts, "encoding the images once", delay=1.0, leave=False):
            batch = source[np.arange(i, min(i + CHUNK, len(source)))]
            z = in_chunks(first_stage.encode, batch["x"])
            batch["x"] = z.astype(np.float32)
            if stores is None:
                stores = _stores(stack, part, source, batch)
            for store, array in zip(stores, _arrays(batch), strict=True):
                store.write(np.ascontiguousarray(array).data)
        assert stores is not None, "a source is never empty"
        for store in stores:
            store.flush()
            os.fsync(store.fileno())
        if source.fingerprint and (fingerprint := source.fingerprint()):
            (part / IMAGES).write_text(fingerprint, encoding="utf-8")
        part.rename(kept)


def _cond_files(source: Source, folder: Path) -> Iterator[Path]:
    """The files of the condition's arrays, in the order of `map_arrays`."""
    if source.num_classes:
        return iter([folder / "labels.npy"])
    return (folder / f"cond-{i}.npy" for i in count())


def _arrays(batch: Batch) -> list[np.ndarray]:
    """The codes of a batch, then the arrays of its condition."""
    arrays = [batch["x"]]
    map_arrays(arrays.append, batch["cond"])
    return arrays


def _stores(
    stack: contextlib.ExitStack, folder: Path, source: Source, batch: Batch
) -> list[BinaryIO]:
    """A new .npy file for each of `_arrays`, to which rows of the whole source are
    appended: a full disk is an error there, and to a memory map the end.
    """
    paths, stores = chain([folder / "codes.npy"], _cond_files(source, folder)), []
    for path, a in zip(paths, _arrays(batch), strict=False):
        store = stack.enter_context(path.open("wb"))
        about = np.lib.format.header_data_from_array_1_0(np.ascontiguousarray(a))
        about["shape"] = (len(source), *a.shape[1:])
        np.lib.format.write_array_header_1_0(store, about)
        stores.append(store)
    return stores


def in_chunks(function: Callable, x: np.ndarray) -> np.ndarray:
    """function(x), computed by CHUNK rows at a time.

    The last chunk is filled up, so that only one shape is compiled.
    """
    x = np.asarray(x, np.float32)
    return map_chunks(lambda rows: function(x[rows]), len(x), CHUNK)
