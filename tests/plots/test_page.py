"""Pictures on a paper's page: width, sizes of text, formats, and no overlaps."""

from importlib import import_module
from inspect import getmembers, isfunction
from itertools import combinations
from pathlib import Path

import matplotlib.text
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

from jaxdiff import plots
from jaxdiff.plots import curves, pictures, texts
from jaxdiff.plots.page import FORMATS, WIDTHS, files_of, make_page, on_page
from tests.plots.examples import EXAMPLES, images
from tests.slow import slow_but

# Not figures, or made of one with an example.
NO_FIGURES = {"saving.save_figure", "saving.save_image", "saving.save_pixels"}
NO_FIGURES |= {"labelled.save_labelled"}


def test_every_figure_has_the_style():
    every = {}
    for path in Path(plots.__path__[0]).glob("[a-z]*.py"):
        module = import_module(f"jaxdiff.plots.{path.stem}")
        for name, function in getmembers(module, isfunction):
            if name.startswith("save_") and function.__module__ == module.__name__:
                every[f"{path.stem}.{name}"] = function
    assert {name.partition(",")[0] for name in EXAMPLES} <= {*every}
    for name in {*every} - NO_FIGURES:
        assert hasattr(every[name], "__wrapped__"), f"{name} lacks @styles.drawn"


@pytest.fixture
def written(monkeypatch) -> dict:
    """The texts that the last figure was written with, and where, in inches."""
    shown = {}
    draw, save = matplotlib.text.Text.draw, Figure.savefig

    def noted_draw(text, renderer):
        draw(text, renderer)
        if text.get_visible() and text.get_text().strip():
            scale = 1 / text.get_figure(root=True).dpi
            corners = text.get_window_extent(renderer).get_points() * scale
            shown[text] = Bbox(corners)

    def noted_save(figure, *args, **kwargs):
        shown.clear()
        return save(figure, *args, **kwargs)

    monkeypatch.setattr(matplotlib.text.Text, "draw", noted_draw)
    monkeypatch.setattr(Figure, "savefig", noted_save)
    return shown


@pytest.mark.parametrize("columns", slow_but([1], [1, 2, 0]))
@pytest.mark.parametrize("name", EXAMPLES)
def test_texts_are_readable_and_keep_clear_of_each_other(
    name, columns, tmp_path, written
):
    with on_page(make_page(columns=columns)):
        EXAMPLES[name](tmp_path / "a.png")
    wide, high = next(iter(written)).get_figure(root=True).get_size_inches()
    if columns:
        assert wide <= WIDTHS[columns] + 1e-6
        sizes = [text.get_fontsize() for text in written]
        assert min(sizes) >= 7 and max(sizes) <= 9
    hair = 0.01  # inches
    for text, box in written.items():
        assert -hair <= box.x0 <= box.x1 <= wide + hair, text
        assert -hair <= box.y0 <= box.y1 <= high + hair, text
    for (a, one), (b, other) in combinations(written.items(), 2):
        assert not one.padded(-hair).overlaps(other.padded(-hair)), (a, b)


def test_a_picture_is_written_in_every_format_and_the_same_bits_again(tmp_path):
    read = []
    for name in ("a", "b"):
        path = tmp_path / name / "lines.png"
        with on_page(make_page(FORMATS, columns=1)):
            files = files_of(path)
            EXAMPLES["curves.save_lines"](path)
        assert {file.name for file in path.parent.iterdir()} == {f.name for f in files}
        read.append([file.read_bytes() for file in files])
    assert read[0] == read[1]
    png, pdf, svg = read[0]
    assert png.startswith(b"\x89PNG") and pdf.startswith(b"%PDF") and b"<svg" in svg
    assert b"/TrueType" in pdf or b"/FontFile2" in pdf
    assert b"/Type3" not in pdf and b"CreationDate" not in pdf
    with Image.open(tmp_path / "a" / "lines.png") as file:
        assert file.width == 300 * WIDTHS[1]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"formats": ["png", "jpg"]}, "--format must be of png, pdf, svg, got 'jpg'"),
        ({"formats": []}, "--format must be of .*, got nothing"),
        ({"formats": ["pdf"], "dpi": 90}, "--dpi=90 is for png"),
    ],
)
def test_a_page_that_cannot_be_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        make_page(**fields)


def test_the_resolution_of_a_png(tmp_path):
    for dpi, width in ((None, 770), (50, 350)):
        with on_page(make_page(dpi=dpi)):
            line = {"a": (np.arange(2.0), np.arange(2.0))}
            curves.save_lines(tmp_path / "a.png", line, xlabel="x", ylabel="y")
        with Image.open(tmp_path / "a.png") as file:
            assert file.width == width  # of 7 inches


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_with_names_has_every_pixel_as_it_is(tmp_path, channels):
    some = images(6, channels=channels)
    sheet = pictures.tile(some, columns=2)
    pictures.save_grid(tmp_path / "a.png", some, columns=2, names=["a", "b", "größe"])
    with Image.open(tmp_path / "a.png") as file:
        picture = np.asarray(file.convert("RGB"))
    high, wide = sheet.shape[:2]
    sheet = np.broadcast_to(sheet, (high, wide, 3))
    places = np.argwhere((picture == sheet[1, 1]).all(-1)) - 1
    exact = [
        (picture[y : y + high, x : x + wide] == sheet).all()
        for y, x in places
        if min(y, x) >= 0 and y + high <= len(picture) and x + wide <= len(picture[0])
    ]
    assert any(exact)


def test_inverted_images_are_dark_on_white(tmp_path):
    some, read = images(4), []
    for invert in (False, True):
        with on_page(make_page(invert=invert)):
            pictures.save_grid(tmp_path / "a.png", some)
        with Image.open(tmp_path / "a.png") as file:
            read.append(np.asarray(file))
    gaps = read[0] == 255
    gaps &= read[1] == 255
    np.testing.assert_array_equal(read[1][~gaps], 255 - read[0][~gaps])
    assert gaps.mean() < 0.1  # between images


def test_on_a_narrow_page_columns_are_left_out_with_a_note(tmp_path, capsys):
    with on_page(make_page(columns=1)):
        pictures.save_rows(tmp_path / "film.png", {"a": images(40)})
    assert "film: 12 of 40 columns of images fit on the page" in capsys.readouterr().err


def test_texts_are_wrapped_and_shortened_to_a_width():
    name = "a rather_long name of a column (with its unit)"
    for width in (0.5, 1.0, 2.0):
        for text in (texts.wrap(name, width, 8.0), texts.wrap_evenly(name, width, 8.0)):
            assert "".join(text.split()) == "".join(name.split())
            assert texts.width_of(text, 8.0) <= width
        short = texts.shorten(name, width, 8.0)
        assert texts.width_of(short, 8.0) <= width and short[0] == name[0]
        assert "…" in short and (width < 1 or short[-1] == name[-1])
    assert texts.wrap(name, 9.0, 8.0) == texts.shorten(name, 9.0, 8.0) == name
