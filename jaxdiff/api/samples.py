"""What a model returns: arrays in data units that can be saved, and shown inline."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow

from jaxdiff import files
from jaxdiff.arrays import require
from jaxdiff.data import reading
from jaxdiff.data.source import Source
from jaxdiff.plots import pictures
from jaxdiff.plots.page import FORMATS, on_page, page
from jaxdiff.runs import shards
from jaxdiff.runs.edit import run as edits
from jaxdiff.runs.edit.request import EditRequest, EditResult
from jaxdiff.runs.sample.run import MOST_IN_GRID
from jaxdiff.runs.shared_pictures import save_samples


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples i = 0, 1, ... of a model.

    source: the run's.  decoded: in data units, as the source decodes.
    x:      f32[n, *shape] in model units.  labels: classes i32[n], or None
    seed:   that they were drawn with
    """

    source: Source
    decoded: Any
    x: np.ndarray
    labels: np.ndarray | None
    seed: int

    @property
    def values(self) -> Any:
        """u8[n, h, w, c]; of a table {column: numbers or texts [n]}."""
        if not self.source.is_image:
            return self.decoded
        return pictures.to_uint8(self.decoded, self.source.peak)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, key: Any) -> np.ndarray:
        """Of images by number, of a table a column by name."""
        return self.values[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def keys(self) -> Any:
        """The columns of a table, so that dict(samples) has them."""
        require(not self.source.is_image, "images have no columns")
        return self.decoded.keys()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Images as they are; of a table the rows in model units."""
        values = self.values if self.source.is_image else self.x
        return np.array(values, dtype) if copy else np.asarray(values, dtype)

    def to_pandas(self) -> Any:
        """The rows of a table as a DataFrame. Errors: ImportError without pandas."""
        require(not self.source.is_image, "images are no table: see `values`")
        return pyarrow.table({**self.decoded}).to_pandas()

    def save(self, path: str | Path) -> None:
        """Write a file, by the end of its name: .png, .pdf or .svg, a grid of images
        or pairs of columns beside the real ones; .npz, as launch.sample does; .csv, of
        a table.
        """
        _save(
            path,
            png=lambda path: save_samples(
                path, self.source, self.decoded, self.labels, MOST_IN_GRID
            ),
            npz=self._save_arrays,
            csv=self._save_table,
        )

    def _save_arrays(self, path: Path) -> None:
        one = {"values": self.decoded}
        arrays = one if self.source.is_image else {**self.decoded}
        origin = {"seed": np.int64(self.seed), "seeds": np.arange(len(self))}
        labels = {} if self.labels is None else {"labels": self.labels}
        shards.write(path, files.beside(arrays, origin | labels))

    def _save_table(self, path: Path) -> None:
        require(not self.source.is_image, f"{path}: images are no table; save a .png")
        with files.whole(path) as part:
            reading.write(part, self.decoded)

    def __repr__(self) -> str:
        kind = "images" if self.source.is_image else "rows"
        return f"<{len(self)} {kind} of shape {self.source.shape}, seed {self.seed}>"

    def _repr_png_(self) -> bytes | None:
        return _png(self.save) if self.source.is_image else None

    def _repr_html_(self) -> str | None:
        if self.source.is_image:
            return None
        try:
            return self.to_pandas()._repr_html_()
        except ImportError:  # without pandas the text above is shown
            return None


@dataclass(frozen=True, eq=False)
class Edited:
    """k results of each of n images; `result` has what stands beside them, such as the
    noise of an inversion.
    """

    request: EditRequest
    result: EditResult

    @property
    def values(self) -> np.ndarray:
        """u8[n, k, h, w, c]."""
        return pictures.to_uint8(self.result.values, self.request.source.peak)

    def __len__(self) -> int:
        return len(self.result.values)

    def __getitem__(self, key: Any) -> np.ndarray:
        return self.values[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.values, dtype)

    def save(self, path: str | Path) -> None:
        """Write a .png, .pdf or .svg, before and after, or an .npz, as launch.edit."""
        request, result = self.request, self.result
        _save(
            path,
            png=lambda path: edits.save_picture(path, request.source, result),
            npz=lambda path: edits.save_arrays(path, request, result),
        )

    def __repr__(self) -> str:
        return f"<{self.result.summary}>"

    def _repr_png_(self) -> bytes:
        return _png(self.save)


def _save(path: str | Path, **kinds: Callable[[Path], object]) -> None:
    """Write with the function of the name's end; a picture in any of FORMATS."""
    path = Path(path).expanduser()
    kinds |= dict.fromkeys(FORMATS, kinds["png"])
    end = path.suffix.lower().removeprefix(".")
    if end not in kinds:
        ends = ", ".join(f".{end}" for end in kinds)
        raise ValueError(f"{path} must end in one of {ends}")
    with on_page(page()._replace(formats=(path.suffix.removeprefix("."),))):
        kinds[end](path)


def _png(save: Callable[[Path], None]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "picture.png")
        save(path)
        return path.read_bytes()
