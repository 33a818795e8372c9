"""The one style of figures: fonts, sizes, places of panels and legends, and colours.

Colours are for colour-blind readers too, with a marker per class.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from jaxdiff.plots import texts
from jaxdiff.plots.page import page

# Okabe & Ito 2008, "Color universal design", without the yellow, too pale on white.
COLOURS = (
    "#0072B2",  # blue
    "#D55E00",  # vermilion
    "#009E73",  # green
    "#CC79A7",  # purple
    "#E69F00",  # orange
    "#56B4E9",  # sky blue
    "#000000",
)
MARKERS = "o^sDvPX"
DASHES = ("solid", "dashed", "dotted")
# Text of a figure of any size, for a screen, is so many times as large as in a paper.
ON_SCREEN = 1.2
# Of a figure whose width is cut to a column: height / width, at least.
FLATTEST = 0.62
# A logarithmic axis over a smaller ratio than this has too few ticks to read.
DECADE = 10.0
# Inches of a decade, at least, for three numbers along x, and along y.
WIDE, HIGH = 0.75, 0.45
Args = ParamSpec("Args")
Out = TypeVar("Out")


def drawn(save: Callable[Args, Out]) -> Callable[Args, Out]:
    """Decorator of functions that draw a figure: they do it in the style."""

    @wraps(save)
    def in_style(*args: Args.args, **kwargs: Args.kwargs) -> Out:
        with mpl.rc_context(_settings(1.0 if page().columns else ON_SCREEN)):
            return save(*args, **kwargs)

    return in_style


@cache
def _settings(scale: float) -> Any:
    path = Path(__file__).with_name("paper.mplstyle")
    style = mpl.rc_params_from_file(path, use_default_template=False)
    sizes = ("font.size", "labelsize", "titlesize", "fontsize")
    return {k: v * scale if k.endswith(sizes) else v for k, v in style.items()}


def width(natural: float) -> float:
    """Inches of a figure: `natural`, or the page's."""
    return page().width or natural


def across(num: int, least: float, most: int) -> int:
    """Panels in a row: as many as are `least` inches wide, up to `most`, evenly."""
    fit = max(1, int((page().width + 0.01) / least)) if page().width else most
    rows = -(-num // min(fit, most, num))
    return -(-num // rows)


def figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches, whose parts keep clear of each other.

    On a page of columns it has the page's width, and is as much lower.
    """
    if page().width:
        least = min(height, FLATTEST * page().width)
        width, height = page().width, max(height * page().width / width, least)
    return Figure(figsize=(width, height), layout="constrained")


def height_of_title(title: str, width: float) -> float:
    """Inches of a figure's title, which is wrapped to the figure's width."""
    size = mpl.rcParams["figure.titlesize"]
    return texts.height_of(texts.wrap(title, width, size), size) if title else 0.0


def panels(
    num: int,
    natural: float,
    high: float,
    *,
    least: float = 3.0,
    most: int = 2,
    above: float = 0.3,
    **share: Any,
) -> tuple[Figure, list[Axes]]:
    """A figure of `num` panels in as many rows as the page's width makes of them.

    Each is `natural` inches wide, or on a page at least `least`, and `high` times as
    high; most: in a row.  above: inches for titles.  share: of Figure.subplots
    """
    columns = across(num, least, most)
    wide, rows = width(natural * columns) / columns, -(-num // columns)
    whole = figure(wide * columns, rows * (high * wide + 0.3) + above)
    axes = [*whole.subplots(rows, columns, squeeze=False, **share).flat]
    for axis in axes[num:]:
        axis.set_visible(False)
    return whole, axes[:num]


def write_numbers(axis: Axis) -> None:
    """At 1, 2, 5, 10, 20 ... of a logarithmic axis, at 1, 10 ... where these have no
    room; instead of powers, whose exponents are too small to read.
    """
    low, high = axis.get_view_interval()
    box, x = axis.axes.get_window_extent(), isinstance(axis, XAxis)
    room = (box.width if x else box.height) / axis.axes.figure.dpi
    few = room < np.log10(high / low) * (WIDE if x else HIGH)
    axis.set_major_locator(LogLocator(subs=(1,) if few else (1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def scale(axis: Axis, values: Any) -> None:
    """Logarithmic with written numbers where values of the axis span a decade."""
    values = np.asarray(values, float)
    if 0 < DECADE * values.min() <= values.max():
        axes, x = axis.axes, isinstance(axis, XAxis)
        (axes.set_xscale if x else axes.set_yscale)("log")
        write_numbers(axis)


def legend(
    figure: Figure, marks: Iterable[Any], names: Sequence[str], title: str = ""
) -> None:
    """A legend below the figure, which becomes as much higher.

    It has as many columns as fit, and names that are too long are wrapped.
    """
    room, high = figure.get_size_inches()
    size = mpl.rcParams["legend.fontsize"]
    beside = (mpl.rcParams["legend.handlelength"] + 2.5) * size / 72
    names = [texts.wrap(name, room - beside - 0.1, size) for name in names]
    widest = max(texts.width_of(name, size) for name in names) + beside
    most = max(1, int((room - 0.1) / widest))
    rows = -(-len(names) // most)
    columns = -(-len(names) // rows)
    lines = rows * max(name.count("\n") + 1 for name in names) + bool(title)
    figure.set_size_inches(room, high + lines * 1.4 * size / 72 + 0.05)
    where = {"loc": "outside lower center", "ncols": columns}
    figure.legend([*marks], names, title=title or None, **where)


def legend_of(figure: Figure, axes: Iterable[Axes]) -> None:
    """A legend below the figure, of every different label of the axes."""
    unique: dict[str, Any] = {}
    for axis in axes:
        for mark, name in zip(*axis.get_legend_handles_labels(), strict=True):
            unique.setdefault(name, mark)
    legend(figure, unique.values(), [*unique])


def of_classes(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour and marker of each class; 49 pairs differ before one is used again."""
    n = len(COLOURS)
    return {
        name: {"color": COLOURS[i % n], "marker": MARKERS[(i + i // n) % n]}
        for i, name in enumerate(names)
    }


def of_lines(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour and dashes of each line; black is kept for the line that matters."""
    n = len(COLOURS) - 1
    return {
        name: {"color": COLOURS[i % n], "linestyle": DASHES[i // n % len(DASHES)]}
        for i, name in enumerate(names)
    }
