"""Image folders: what is read, what is refused."""

import io
import struct
import zlib
from functools import partial

import numpy as np
import pytest
from PIL import Image

from jaxdiff.data import folder, synthetic


def save(path, pixels, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)


def flat(value: int, h: int = 4, w: int = 4) -> np.ndarray:
    return np.full((h, w, 3), value, np.uint8)


def test_class_folders_become_labels(tmp_path):
    for name, value in (("b/2", 40), ("a/1", 10), ("b/1", 30), ("a/2", 20)):
        save(tmp_path / f"{name}.png", flat(value))
    (tmp_path / "a" / "notes.txt").write_text("not a picture")
    (tmp_path / ".cache").mkdir()
    source = folder.make(str(tmp_path))
    batch = source[np.arange(4)]
    assert (source.class_names, source.num_classes) == (("a", "b"), 2)
    assert batch["cond"].tolist() == [0, 0, 1, 1]
    assert source.decode(batch["x"])[:, 0, 0, 0] == pytest.approx([10, 20, 30, 40])
    assert source.shape == (4, 4, 3)


def test_pictures_without_folders_have_no_labels(tmp_path):
    for i, ending in enumerate(("png", "bmp", "JPG", "webp", "gif", "jpeg")):
        save(tmp_path / f"{i}.{ending}", flat(100))
    source = folder.make(str(tmp_path))
    batch = source[np.arange(6)]
    assert batch["cond"] is None
    assert source.num_classes == 0
    assert source.decode(batch["x"]) == pytest.approx(100, abs=3)  # JPEG is lossy


@pytest.mark.parametrize(("low", "black"), [(-1.0, -1.0), (0.0, 0.0)])
def test_range(tmp_path, low, black):
    save(tmp_path / "a.png", flat(0))
    save(tmp_path / "b.png", flat(255))
    source = folder.make(str(tmp_path), low=low)
    x = source[np.arange(2)]["x"]
    assert x[0] == pytest.approx(black)
    assert x[1] == pytest.approx(1)
    # Values beyond the range are clipped to pictures that can be saved.
    assert source.decode(np.full((1, 4, 4, 3), 3.0)).max() == 255
    assert source.decode(np.full((1, 4, 4, 3), -9.0)).min() == 0


def test_transparency_lies_on_white(tmp_path):
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[:2, :, 3] = 255  # the upper half opaque black, the lower transparent black
    save(tmp_path / "a.png", rgba)
    image = folder.make(str(tmp_path))
    pixels = image.decode(image[np.arange(1)]["x"])[0]
    assert (pixels[:2] == 0).all()
    assert pixels[2:] == pytest.approx(255)


def test_grey(tmp_path):
    save(tmp_path / "a.png", np.full((4, 4, 3), (0, 0, 255)))
    source = folder.make(str(tmp_path), channels=1)
    assert source.shape == (4, 4, 1)
    # ITU-R 601: blue is 11.4 % of the luminance.
    value = source.decode(source[np.arange(1)]["x"])
    assert value == pytest.approx(0.114 * 255, abs=1)


def test_a_ramp_stays_a_ramp_when_shrunk(tmp_path):
    """Any symmetric window leaves a straight line straight, away from the edges."""
    ramp = np.broadcast_to(4 * np.arange(64)[None, :, None], (64, 64, 3))
    save(tmp_path / "a.png", ramp)
    source = folder.make(str(tmp_path), size=16)
    row = source.decode(source[np.arange(1)]["x"])[0, 8, 3:-3, 0]
    # New pixel j covers old pixels 4j ... 4j + 3, whose mean is 4 (4j + 1.5).
    assert row == pytest.approx(4 * (4 * np.arange(3, 13) + 1.5), abs=0.51)


def test_shrinking_does_not_alias(tmp_path):
    checks = 255 * ((np.arange(64)[:, None] + np.arange(64)) % 2)
    save(tmp_path / "a.png", np.repeat(checks[..., None], 3, axis=2))
    source = folder.make(str(tmp_path), size=8)
    assert source.decode(source[np.arange(1)]["x"]) == pytest.approx(127.5, abs=2)


@pytest.mark.parametrize("crop", [True, False])
def test_crop_keeps_the_middle(tmp_path, crop):
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 255  # exactly the middle square is white
    save(tmp_path / "a.png", wide)
    source = folder.make(str(tmp_path), size=8, crop=crop)
    pixels = source.decode(source[np.arange(1)]["x"])
    if crop:
        assert pixels == pytest.approx(255)
    else:
        assert pixels[0, :, 0] == pytest.approx(0, abs=20)
        assert pixels.mean() == pytest.approx(85, abs=10)


def test_size_may_be_a_pair(tmp_path):
    save(tmp_path / "a.png", flat(9, 20, 20))
    assert folder.make(str(tmp_path), size=(4, 6)).shape == (4, 6, 3)


def test_a_truncated_picture_is_named(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3))
    for name in ("a", "b", "c"):
        save(tmp_path / "k" / f"{name}.png", noise)
    broken = tmp_path / "k" / "b.png"
    broken.write_bytes(broken.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"b\.png cannot be used as a picture"):
        folder.make(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>"])
def test_a_file_that_is_no_picture_is_named(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.png cannot be used"):
        folder.make(str(tmp_path))


def test_all_broken_pictures_are_named_at_once(tmp_path):
    for name in ("a", "b", "c", "d"):
        save(tmp_path / f"{name}.png", flat(1))
    for name in ("a", "c", "d"):
        (tmp_path / f"{name}.png").write_bytes(b"\x89PNG cut")
    with pytest.raises(
        ValueError, match=r"a\.png cannot .* 2 others .*: c\.png, d\.png"
    ):
        folder.make(str(tmp_path))
    (tmp_path / "b.png").unlink()
    with pytest.raises(ValueError, match=r"a\.png cannot .* 2 others"):
        folder.make(str(tmp_path))


def test_sixteen_bits_are_refused_not_cut_off(tmp_path):
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match=r"deep\.png.*8 bits"):
        folder.make(str(tmp_path))


def chunk(kind, content):
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(bits):
    """An RGB of 4x4, black, with as many bits a value."""
    head = struct.pack(">IIBBBBB", 4, 4, bits, 2, 0, 0, 0)
    data = zlib.compress(bytes(4 * (1 + 12 * bits // 8)))
    parts = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def tiff(bits, planes=1):
    """The same, uncompressed."""
    size = 48 * bits // 8
    fields = {256: 4, 257: 4, 258: 134, 259: 1, 262: 2, 273: 140, 277: 3}
    fields |= {278: 4, 279: size, 284: planes}
    tags = b"".join(
        struct.pack("<HHII", tag, 3, 3 if tag == 258 else 1, value)
        for tag, value in fields.items()
    )
    head = b"II*\0" + struct.pack("<IH", 8, len(fields)) + tags + bytes(4)
    return head + struct.pack("<3H", bits, bits, bits) + bytes(size)


def ppm(bits):
    return b"P6 4 4 %d\n" % (2**bits - 1) + bytes(48 * bits // 8)


def sgi(bits):
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "SGI", bpc=bits // 8)
    return file.getvalue()


@pytest.mark.parametrize("form", [png, tiff, partial(tiff, planes=2), ppm, sgi])
def test_sixteen_bits_of_colours_are_refused_not_cut_off(tmp_path, form):
    ending = getattr(form, "func", form).__name__
    (tmp_path / f"a.{ending}").write_bytes(form(8))
    assert folder.make(str(tmp_path)).shape == (4, 4, 3)
    (tmp_path / f"b.{ending}").write_bytes(form(16))
    with pytest.raises(ValueError, match=rf"b\.{ending}.*more than 8 bits a value"):
        folder.make(str(tmp_path))


def test_sixteen_bits_a_pixel_are_read(tmp_path):
    """A BMP of 5 bits of red, 6 of green and 5 of blue."""
    head = struct.pack("<IiiHHIIiiII", 56, 4, 4, 1, 16, 3, 32, 0, 0, 0, 0)
    masks = struct.pack("<4I", 0xF800, 0x7E0, 0x1F, 0)
    start = b"BM" + struct.pack("<IHHI", 70 + 32, 0, 0, 70)
    (tmp_path / "a.bmp").write_bytes(start + head + masks + bytes(32))
    (tmp_path / "b.pbm").write_bytes(b"P1\n4 4\n" + b"0 1 1 0\n" * 4)
    assert folder.make(str(tmp_path)).shape == (4, 4, 3)


def test_pictures_of_other_size_are_named(tmp_path):
    save(tmp_path / "a.png", flat(0))
    save(tmp_path / "b.png", flat(0, h=5, w=7))
    with pytest.raises(ValueError, match=r"b\.png is 7x5, but a\.png is 4x4; set size"):
        folder.make(str(tmp_path))
    assert len(folder.make(str(tmp_path), size=4)) == 2


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        folder.make(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="hold no picture"):
        folder.make(str(tmp_path))
    save(tmp_path / "a" / "1.png", flat(0))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty' holds no picture"):
        folder.make(str(tmp_path))
    save(tmp_path / "stray.png", flat(0))
    with pytest.raises(ValueError, match="class folder"):
        folder.make(str(tmp_path))


def test_too_many_pictures_point_to_tfds(tmp_path, monkeypatch):
    save(tmp_path / "a.png", flat(0))
    monkeypatch.setattr(folder, "MAX_BYTES", 47)  # the picture takes 48
    with pytest.raises(ValueError, match="TFDS"):
        folder.make(str(tmp_path))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"size": -1}, "size=-1"),
        ({"size": (4, 0)}, r"size=\(4, 0\)"),
        ({"channels": 4}, "channels=4"),
        ({"low": 1.0}, r"low=1\.0"),
    ],
)
def test_bad_fields_are_refused_before_any_work(fields, words):
    with pytest.raises(ValueError, match=words):
        folder.make("does/not/exist", **fields)


def test_the_checksum_is_of_the_content_and_not_of_the_place(tmp_path):
    for root in ("here", "there"):
        save(tmp_path / root / "a" / "1.png", flat(10))
        save(tmp_path / root / "b" / "1.png", flat(20))
    here, there = (str(tmp_path / root) for root in ("here", "there"))
    checksum = folder.make(here).checksum
    assert folder.make(there, checksum=checksum).checksum == checksum
    save(tmp_path / "there" / "b" / "1.png", flat(21))
    with pytest.raises(ValueError, match=r"data\.checksum=\w+, but .*there has"):
        folder.make(there, checksum=checksum)
    (tmp_path / "here" / "b").rename(tmp_path / "here" / "c")  # another class
    with pytest.raises(ValueError, match=r"data\.checksum="):
        folder.make(here, checksum=checksum)


# -- pictures like those of a source

SOURCE = synthetic.make((6, 6, 1), 3, 12)
LABELS = SOURCE[np.arange(12)]["cond"]
PIXELS = np.rint(SOURCE.decode(SOURCE[np.arange(12)]["x"])).astype(np.uint8)


def written(path, pixels, names=None):
    """PNGs of u8[n, h, w, 1], in class folders where there are names of them."""
    for i, image in enumerate(pixels):
        save(path / (names[i] if names else "") / f"{i:02d}.png", image[..., 0])
    return path


@pytest.mark.parametrize("by_number", [True, False])
def test_class_folders_by_name_or_number(tmp_path, by_number):
    names = [str(k) if by_number else f"class {k}" for k in LABELS]
    got = folder.read_like(written(tmp_path, PIXELS, names), SOURCE)
    order = np.argsort(LABELS, kind="stable")
    np.testing.assert_array_equal(got.pixels, PIXELS[order])
    np.testing.assert_array_equal(got.labels, LABELS[order])


def test_words_for_other_sizes(tmp_path):
    large = PIXELS[:1].repeat(2, 1).repeat(2, 2)
    got = folder.read_like(written(tmp_path / "large", large), SOURCE)
    assert got.pixels.shape == (1, 6, 6, 1)
    assert got.resized == "12x12, reduced by bicubic"
    mixed = written(tmp_path / "mixed", [large[0], PIXELS[1, ::2, ::2]])
    assert folder.read_like(mixed, SOURCE).resized == "3x3 to 12x12, resized by bicubic"


def test_refuses_pictures(tmp_path):
    written(tmp_path / "broken", PIXELS[:2])
    whole = (tmp_path / "broken" / "01.png").read_bytes()
    (tmp_path / "broken" / "01.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"01.png cannot be used as a picture"):
        folder.read_like(tmp_path / "broken", SOURCE)
    written(tmp_path / "wide", PIXELS[:1, :3])
    with pytest.raises(ValueError, match=r"00.png is 6x3, of another aspect"):
        folder.read_like(tmp_path / "wide", SOURCE)
    written(tmp_path / "named", PIXELS[:2], ["class 0", "shoe"])
    with pytest.raises(
        ValueError, match=r"the class folder 'shoe'; the data's classes"
    ):
        folder.read_like(tmp_path / "named", SOURCE)
