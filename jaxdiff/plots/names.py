"""Names of columns and classes in figures: drawn as they are written.

matplotlib reads "$" as the beginning of a formula, and draws a box for a character that
its font lacks.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogFormatter

from jaxdiff.notes import note

# Fonts that matplotlib brings for formulas, and those whose glyphs are all boxes.
NOT_FOR_NAMES = ("cm", "STIXNonUni", "STIXSiz", "Last Resort", ".LastResort")

# Characters without a glyph: of the figure that is drawn, and that a note has named.
MISSING: set[str] = set()
NOTED: set[str] = set()


def draw_as_written(figure: Figure) -> None:
    """Prepare every text of a figure: no formulas, and fonts that have its characters.

    The numbers along a logarithmic axis stay as they are: powers of ten are formulas.
    """
    powers = set()
    for axis in figure.findobj(Axis):
        for formatter, ticks in (
            (axis.get_major_formatter(), axis.majorTicks),
            (axis.get_minor_formatter(), axis.minorTicks),
        ):
            if isinstance(formatter, LogFormatter):
                powers |= {text for t in ticks for text in (t.label1, t.label2)}
            elif isinstance(formatter, FuncFormatter):
                # names at ticks, which are set each time that the figure is drawn
                formatter.func = partial(_legible_at, formatter.func)
    for text in figure.findobj(Text):
        if text in powers:
            continue
        name = text.get_text()
        text.set_parse_math(False)
        text.set_text(legible(name))
        if fonts := other_fonts(name):
            text.set_fontfamily([*mpl.rcParams["font.family"], *fonts])


def _legible_at(func: Callable[..., str], *where: Any) -> str:
    return legible(func(*where))


def legible(text: str) -> str:
    """The text, with the codes of characters that no installed font has: "\\u4e2d"."""
    missing = _cover(_characters(text))[1]
    MISSING.update(missing)
    return "".join(_escaped(c) if c in missing else c for c in text)


def other_fonts(text: str) -> list[str]:
    """Families that have the characters which the default font lacks."""
    return _cover(_characters(text))[0]


def _characters(text: str) -> str:
    return "".join(sorted({*text}))


def note_missing() -> None:
    """A note of the characters that no font has, of a figure; each is noted once."""
    new = sorted(MISSING - NOTED)
    NOTED.update(new)
    MISSING.clear()
    if new:
        codes = ", ".join(map(_escaped, new))
        note(
            f"no installed font has {codes}: drawn as codes. A font with these "
            "characters, such as one of Noto, will be used once it is installed"
        )


@cache
def _cover(characters: str) -> tuple[list[str], str]:
    """Fonts beside the default one, and the characters that none of them has."""
    default = font_manager.findfont(font_manager.FontProperties())
    missing, fonts = _lacking(default, characters), []
    for entry in font_manager.fontManager.ttflist if missing else ():
        plain = entry.style == "normal" and entry.weight in (400, "normal", "regular")
        if plain and not entry.name.startswith(NOT_FOR_NAMES):
            left = _lacking(entry.fname, missing)
            if len(left) < len(missing):
                fonts, missing = [*fonts, entry.name], left
    return fonts, missing


def _lacking(path: str, characters: str) -> str:
    """Those of the characters that a font file has no glyph for."""
    try:
        font = font_manager.get_font(path)
    except (OSError, RuntimeError):  # a font that FreeType cannot read
        return characters
    if not font.scalable:  # bitmaps, such as colour emoji
        return characters
    return "".join(
        c for c in characters if c != "\n" and not font.get_char_index(ord(c))
    )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
