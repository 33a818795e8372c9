"""The page that pictures are drawn for: its formats, resolution and width."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

FORMATS = ("png", "pdf", "svg")
# The widths of a figure in a paper, inches: in one column of a page, and in two.
WIDTHS = {1: 3.25, 2: 6.75}
# Dots per inch on a screen and in print.
SCREEN, PRINT = 110, 300


class Page(NamedTuple):
    """formats: of every picture, of FORMATS
    dpi:     dots per inch of a PNG, 0 for SCREEN, or PRINT where columns are given
    columns: of a paper's page that a figure fills, 1 or 2; 0 for figures of any size
    invert:  whether grey images are drawn dark on white
    """

    formats: tuple[str, ...] = ("png",)
    dpi: int = 0
    columns: int = 0
    invert: bool = False

    @property
    def width(self) -> float:
        """Inches of a figure; 0 for figures of any size."""
        return WIDTHS.get(self.columns, 0.0)

    @property
    def resolution(self) -> int:
        return self.dpi or (PRINT if self.columns else SCREEN)


_ANY_SIZE = Page()
_PAGE: ContextVar[Page] = ContextVar("page", default=_ANY_SIZE)


def page() -> Page:
    """The one in effect."""
    return _PAGE.get()


def make_page(
    formats: Sequence[str] = ("png",),
    dpi: int | None = None,
    columns: int = 0,
    invert: bool = False,
) -> Page:
    """Errors: ValueError for an unknown format, and for dpi that nothing depends on."""
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        text = repr(unknown[0]) if unknown else "nothing"
        raise ValueError(f"--format must be of {', '.join(FORMATS)}, got {text}")
    if dpi and "png" not in formats:
        raise ValueError(
            f"--dpi={dpi} is for png, and --format={','.join(formats)} has no pixels: "
            "leave it out, or add png"
        )
    return Page(tuple(dict.fromkeys(formats)), dpi or 0, columns, invert)


def set_page(new: Page) -> None:
    """For what this process draws from now on: a launcher's flags."""
    _PAGE.set(new)


@contextmanager
def on_page(new: Page) -> Iterator[None]:
    """For what is drawn inside."""
    token = _PAGE.set(new)
    try:
        yield
    finally:
        _PAGE.reset(token)


def files_of(path: Path) -> list[Path]:
    """The files that a picture at `path` is written to: one of every format."""
    return [path.with_suffix(f".{name}") for name in page().formats]


def check_inverted(shape: tuple[int, ...]) -> None:
    """ValueError for --invert unless examples of that shape are grey images."""
    if len(shape) != 3 or shape[-1] != 1:
        data = "in colour" if len(shape) == 3 else "tables"
        raise ValueError(
            f"--invert is for grey images, and the data are {data}: leave it out"
        )
