"""Texts in figures: how wide they are drawn, and how long ones are made to fit."""

import re
from functools import lru_cache
from itertools import chain

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jaxdiff.plots.names import legible, other_fonts
from jaxdiff.plots.page import page

# Where a line may break: after a blank, and in a word that is too long after a sign.
BLANKS, SIGNS = re.compile(r"(?<= )"), re.compile(r"(?<=[_,;:/=)\-])")
# Of the height of a line, with the space to the next, in sizes of the font.
LINE = 1.25


def small() -> float:
    """The size of the smallest text of a figure, points."""
    return mpl.rcParams["xtick.labelsize"]


def height_of(text: str, size: float) -> float:
    """Inches of its lines."""
    return (text.count("\n") + 1) * LINE * size / 72


def width_of(text: str, size: float) -> float:
    """Inches of its longest line, in the font and at the resolution that it is drawn
    with: a small letter is as wide as whole pixels are.
    """
    how = tuple(mpl.rcParams["font.family"]), page().resolution
    return max(_width(line, size, *how) for line in text.split("\n"))


@lru_cache(4096)
def _width(line: str, size: float, family: tuple[str, ...], dpi: int) -> float:
    figure = Figure(dpi=dpi)
    fonts = [*family, *other_fonts(line)]
    text = figure.text(0, 0, legible(line), size=size, family=fonts, parse_math=False)
    extent = text.get_window_extent(FigureCanvasAgg(figure).get_renderer())
    return extent.width / figure.dpi


def wrap(text: str, width: float, size: float, *, cut: bool = True) -> str:
    """Broken into lines of at most `width` inches.

    cut: whether a part that is wider is cut anywhere; else it stays too wide.
    """
    lines = []
    for line in text.split("\n"):
        rest = ""
        words = BLANKS.split(line)
        long = {word for word in words if width_of(word.rstrip(), size) > width}
        parts = [SIGNS.split(word) if word in long else [word] for word in words]
        for part in chain.from_iterable(parts):
            if rest and width_of((rest + part).rstrip(), size) > width:
                lines.append(rest.rstrip())
                rest = ""
            rest += part
            while cut and width_of(rest.rstrip(), size) > width and len(rest) > 1:
                most = len(rest) - 1
                while most > 1 and width_of(rest[:most], size) > width:
                    most -= 1
                lines.append(rest[:most])
                rest = rest[most:]
        lines.append(rest.rstrip())
    return "\n".join(lines)


def wrap_evenly(text: str, width: float, size: float) -> str:
    """As `wrap`, in as many lines, which are about as long as one another."""
    wrapped = wrap(text, width, size)
    for part in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        narrow = wrap(text, part * width, size, cut=False)
        same = narrow.count("\n") == wrapped.count("\n")
        if same and width_of(narrow, size) <= width:
            return narrow
    return wrapped


def shorten(text: str, width: float, size: float) -> str:
    """Every line with its middle left out, so that it is at most `width` inches."""
    return "\n".join(_shorten(line, width, size) for line in text.split("\n"))


def _shorten(line: str, width: float, size: float) -> str:
    if width_of(line, size) <= width:
        return line
    for kept in range(len(line) - 1, 1, -1):
        short = f"{line[: -(-kept // 2)]}…{line[len(line) - kept // 2 :]}"
        if width_of(short, size) <= width:
            return short
    return line[:1] + "…"


def squeeze_names(names: list[str], width: float, size: float) -> list[str]:
    """Names of rows: in two lines at most, each of at most `width` inches."""
    short = []
    for name in names:
        lines = wrap(name, width, size, cut=False).split("\n")
        kept = lines if len(lines) <= max(2, name.count("\n") + 1) else [name]
        short.append(shorten("\n".join(kept), width, size))
    return short
