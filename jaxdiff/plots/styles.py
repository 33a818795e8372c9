"""Colours for colour-blind readers too, with a marker per class."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

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


def figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches, whose parts keep clear of each other."""
    return Figure(figsize=(width, height), layout="constrained")


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
