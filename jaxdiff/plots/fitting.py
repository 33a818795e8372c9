"""Texts of a figure made to fit into their places, whatever its width is.

A figure is laid out once, which shows how large its parts are. Then titles and labels
that are longer than their part are wrapped, names at ticks are wrapped or turned, and
the layout is made again when the figure is drawn.
"""

from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text

from jaxdiff.plots import texts

# Of a figure's width, at most, for names along a vertical axis.
MOST_NAMES = 0.4
# Inches of names that are turned, at most.
TURNED = 1.1


def fit_texts(figure: Figure) -> None:
    """The figure keeps its layout. What has no room is shortened in the middle."""
    layout = figure.get_layout_engine()
    assert layout, "only where there is a layout"
    layout.execute(figure)
    width = figure.get_figwidth()
    shown = [axis for axis in figure.axes if axis.get_visible() and axis.axison]
    named = [_fit_names(axis, width) for axis in shown]
    if any(named):
        layout.execute(figure)
    long = []
    for axis in shown:
        wide, high, middle = _place(axis)
        alone = not any(_beside(axis, other) for other in shown)
        room = 2 * min(middle, width - middle) if alone else wide
        long += [_wrap(text, room) for text in (axis.title, axis.xaxis.label)]
        long.append(_wrap(axis.yaxis.label, high))
    for part in (figure, *figure.subfigs):
        wide, high = part.bbox.width / figure.dpi, part.bbox.height / figure.dpi
        for name, most in (
            ("suptitle", wide),
            ("supxlabel", wide),
            ("supylabel", high),
        ):
            long.append(_wrap(getattr(part, f"_{name}"), most))
    if any(long):
        layout.execute(figure)
    figure.set_layout_engine("none")


def _place(axis: Axes) -> tuple[float, float, float]:
    """Width, height and middle of the axes in the figure, inches."""
    box = axis.get_window_extent()
    figure = axis.get_figure(root=True)
    assert figure
    dpi = figure.dpi
    return box.width / dpi, box.height / dpi, (box.x0 + box.x1) / 2 / dpi


def _beside(one: Axes, other: Axes) -> bool:
    """Whether the two are at one height and not at one place."""
    a, b = one.get_window_extent(), other.get_window_extent()
    level = min(a.y1, b.y1) - max(a.y0, b.y0) > 0.1 * min(a.height, b.height)
    return bool(level and (b.x0 >= a.x1 or a.x0 >= b.x1))


def _wrap(text: Text | None, width: float) -> bool:
    """Returns: whether the text, if there is one, was too long."""
    if not text or not text.get_text():
        return False
    before, size = text.get_text(), _size(text)
    if texts.width_of(before, size) <= width:
        return False
    text.set_text(texts.wrap_evenly(before, max(width, 4 * size / 72), size))
    return True


def _size(text: Text) -> float:
    return float(text.get_fontsize())


def _fit_names(axis: Axes, width: float) -> bool:
    """Names at ticks, not numbers: along x wrapped or turned, along y shortened.

    Returns: whether there are any.
    """
    names = along = _names(axis.xaxis)
    if len(names) > 1:
        size = _size(axis.xaxis.get_ticklabels()[0])
        places = axis.get_xaxis_transform().transform(
            [(x, 0.0) for x in axis.xaxis.get_ticklocs()]
        )
        figure = axis.get_figure(root=True)
        assert figure
        at = sorted(places[:, 0] / figure.dpi)
        gap = min(b - a for a, b in pairwise(at))
        wrapped = [texts.wrap(name, 0.95 * gap, size, cut=False) for name in names]
        if max(texts.width_of(name, size) for name in wrapped) > 0.97 * gap:
            wrapped = [texts.shorten(name, TURNED, size) for name in names]
            axis.tick_params(axis="x", labelrotation=90)
        axis.xaxis.set_ticklabels(wrapped)
    names = _names(axis.yaxis)
    if names:
        label = axis.yaxis.get_ticklabels()[0]
        most, size = MOST_NAMES * width, _size(label)
        if not label.get_rotation():
            axis.yaxis.set_ticklabels(texts.squeeze_names(names, most, size))
    return bool(names or along)


def _names(axis: Axis) -> list[str]:
    """What is written at an axis's ticks, if it is names."""
    labels = [label.get_text() for label in axis.get_ticklabels()]
    shown = any(label.get_visible() for label in axis.get_ticklabels())
    given = hasattr(axis.get_major_locator(), "locs") and any(labels)
    return labels if given and shown else []
