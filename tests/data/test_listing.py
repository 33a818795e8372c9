"""What of a folder is read, in which order, and what is left out."""

import numpy as np
import pytest
from PIL import Image

from jaxdiff.data import folder, listing


def save(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4, 3), value, np.uint8)).save(path)


def test_numbers_in_names_are_sorted_as_numbers(tmp_path):
    for k in range(12):
        save(tmp_path / str(k) / "a.png", 10 * k)
    source = folder.make(str(tmp_path))
    assert source.class_names == tuple(map(str, range(12)))
    batch = source[np.array([2])]
    assert batch["cond"] == [2]
    assert source.decode(batch["x"]).max() == pytest.approx(20)
    older = folder.make(str(tmp_path), rules=1)
    assert older.class_names[2] == "10" and older.class_names[4] == "2"
    assert older.decode(older[np.array([2])]["x"]).max() == pytest.approx(100)
    names = ["b", "a10", "a9", "a09", "10", "9"]
    assert sorted(names, key=listing.by_number) == ["9", "10", "a09", "a9", "a10", "b"]


def test_every_picture_that_pillow_reads(tmp_path):
    endings = ("png", "tif", "TIFF", "jfif", "pgm", "ppm", "tga", "jp2")
    for k, ending in enumerate(endings):
        if ending == "pgm":
            Image.new("L", (4, 4), 200).save(tmp_path / f"{k}.{ending}")
        else:
            format = "JPEG" if ending == "jfif" else None
            image = Image.new("RGB", (4, 4), (200, 200, 200))
            image.save(tmp_path / f"{k}.{ending}", format=format)
    source = folder.make(str(tmp_path))
    assert len(source) == len(endings) and len(source.notes) == 1
    pixels = source.decode(source[np.arange(len(endings))]["x"])
    assert pixels == pytest.approx(200, abs=4)  # JPEG is lossy
    assert len(folder.make(str(tmp_path), rules=1)) == 1
    assert not {".eps", ".ps", ".pdf", ".mpg"} & listing.known_endings()


@pytest.mark.parametrize("classes", [True, False])
def test_what_is_left_out_is_counted_and_named(tmp_path, capsys, classes):
    top = tmp_path / "cat" if classes else tmp_path
    save(top / "a.png")
    save(top / "more" / "deep" / "b.png")
    save(top / ".hidden" / "c.png")
    (top / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (top / "d.svg").write_text("<svg/>")
    source = folder.make(str(tmp_path))
    assert len(source) == 1
    assert source.notes[0] == f"{tmp_path}: 1 picture" + " in 1 class: cat" * classes
    left = [
        f"{'cat/' * classes}{name}" for name in ("d.svg", "gone.png", "more/deep/b.png")
    ]
    assert source.notes[1].startswith(f"{tmp_path}: left out 3 ")
    assert source.notes[1].endswith(": " + ", ".join(left))
    folder.read_all([str(tmp_path)], (4, 4, 3), resize=False)
    assert capsys.readouterr().err == f"note: {source.notes[1]}\n"


@pytest.mark.parametrize("ending", ["gif", "png", "tif", "webp"])
def test_pictures_of_several_frames_are_counted_and_named(tmp_path, capsys, ending):
    first, *others = (Image.new("RGB", (4, 4), (v, v, v)) for v in (0, 90, 200))
    save(tmp_path / "a.png", 9)
    assert len(folder.make(str(tmp_path)).notes) == 1
    several = {"save_all": True, "append_images": others}
    first.save(tmp_path / f"b.{ending}", **several)
    line = f": 1 picture has several frames; the first is taken: b.{ending}"
    source = folder.make(str(tmp_path))
    assert source.notes[1:] == (f"{tmp_path}{line}",)
    assert source.decode(source[np.array([1])]["x"]).max() < 3
    folder.read_all([str(tmp_path)], (4, 4, 3), resize=False)
    folder.read_like(tmp_path, source)
    assert capsys.readouterr().err == f"note: --image{line}\nnote: {tmp_path}{line}\n"


def test_many_that_are_left_out_are_a_short_line(tmp_path):
    save(tmp_path / "a.png")
    for k in range(1000):
        (tmp_path / f"{k}.txt").touch()
    note = listing.find(str(tmp_path)).notes(str(tmp_path))[1]
    assert "left out 1000 " in note and note.endswith(" and 992 more")


def test_a_class_name_with_a_control_character_is_refused(tmp_path):
    save(tmp_path / "a\x1b[31m" / "a.png")
    with pytest.raises(ValueError, match="control character") as error:
        folder.make(str(tmp_path))
    assert str(error.value).isprintable()
