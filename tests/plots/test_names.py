"""Names in figures: drawn as written, and in a font that has their characters."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure
from PIL import Image

from jaxdiff.plots import conditionals, names, pictures, tables
from jaxdiff.plots.saving import save_figure

NAMES = (
    "a_$x_$",
    "$",
    "$\\frac$",
    "50$ or 60$",
    "x_{y}^2",
    "_a",
    "C:\\$y",
    "größe",
    "文",
)


def drawn(path, text, save=save_figure):
    figure = Figure(figsize=(3, 1))
    axis = figure.subplots()
    axis.set_xticks([0, 1], [text, "b"])
    axis.set_title(text)
    save(path, figure)
    return np.asarray(Image.open(path))


@pytest.fixture(autouse=True)
def no_caches():
    names.NOTED.clear()
    names._cover.cache_clear()


def test_a_dollar_is_drawn_as_one(tmp_path):
    def plain(path, figure):
        figure.savefig(path, dpi=110)

    shown = drawn(tmp_path / "a.png", "a_$x_$")
    # matplotlib's ours way to write it
    escaped = drawn(tmp_path / "b.png", r"a_\$x_\$", plain)
    formula = drawn(tmp_path / "c.png", "a_$x_1$", plain)
    np.testing.assert_array_equal(shown, escaped)
    assert shown.shape == formula.shape and (shown != formula).any()


def test_powers_of_ten_along_an_axis_stay_formulas(tmp_path):
    def save(path, ours):
        figure = Figure()
        figure.subplots().loglog([1, 1e6], [1e-3, 1e3])
        save_figure(path, figure) if ours else figure.savefig(path, dpi=110)
        return np.asarray(Image.open(path))

    both = (save(tmp_path / f"{ours}.png", ours) for ours in (True, False))
    np.testing.assert_array_equal(*both)


def test_no_name_ends_a_picture(tmp_path):
    few = {name: np.arange(9.0) ** (1 + i) for i, name in enumerate(NAMES[:3])}
    rows = {**few, NAMES[3]: np.array(NAMES)}
    image = np.zeros((2, 4, 4, 1), np.uint8)
    tables.save_pairs(tmp_path / "pairs.png", {NAMES[0]: rows})
    tables.save_scatters(tmp_path / "s.png", {NAMES[0]: rows}, rows, title=NAMES[2])
    conditionals.save_given(tmp_path / "given.png", NAMES[0], rows, rows)
    strips = dict.fromkeys(NAMES, image)
    pictures.save_rows(tmp_path / "r.png", strips, columns=NAMES[:2])
    assert len([*tmp_path.glob("*.png")]) == 4


def test_a_character_without_a_font_is_drawn_as_its_code(tmp_path, monkeypatch, capsys):
    """As a warning about a missing glyph would be an error here, none is missing."""
    bundled = [
        entry
        for entry in font_manager.fontManager.ttflist
        if entry.name == "DejaVu Sans" or entry.name.startswith(names.NOT_FOR_NAMES)
    ]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", bundled)
    drawn(tmp_path / "a.png", "文\x1bж")
    assert names.legible("文\x1bж") == "\\u6587\\x1bж"
    drawn(tmp_path / "b.png", "文\x1bж")
    rows = {
        "文": np.arange(9.0),
        "ж": np.arange(9.0),
        "種": np.array(["$a$", "類", "x"] * 3),
    }
    tables.save_pairs(tmp_path / "c.png", {"real": rows})
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == 2, "one for each picture with more of them"
    assert "\\u6587" in notes[0] and "\\u7a2e, \\u985e:" in notes[1]


def test_another_font_is_taken_where_one_has_the_characters(tmp_path, monkeypatch):
    monkeypatch.setitem(mpl.rcParams, "font.family", ["STIXGeneral"])
    assert names.legible("ა") == "ა"
    assert names.other_fonts("ა") and not names.other_fonts("a")
    drawn(tmp_path / "a.png", "ა")
