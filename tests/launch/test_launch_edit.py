"""launch.edit: the files that it writes and what it prints, end to end."""

import numpy as np
from PIL import Image

from tests.launch.conftest import launch


def test_an_image_of_a_file_and_a_mask(trained, tmp_path):
    rng = np.random.default_rng(0)
    given = rng.integers(0, 256, (4, 4), dtype=np.uint8)
    Image.fromarray(given).save(tmp_path / "mine.png")
    mask = np.zeros((4, 4), np.uint8)
    mask[1:3, 1:3] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    arguments = (
        *("launch.edit", "inpaint", f"--workdir={trained['images']}"),
        *(f"--image={tmp_path}/mine.png", f"--mask={tmp_path}/mask.png"),
        *("--num=3", "--png", "--config.sampler.resample=2"),
    )
    cases = {name: (*arguments, f"--out={tmp_path}/{name}") for name in ("a", "b")}
    for done in launch(cases).values():
        assert done.status == 0, done.err
        # two steps, each twice
        assert "1 images, 3 of each, 25% of each drawn anew, 4 NFE each" in done.out
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    pngs = [f"{i:06d}.png" for i in range(3)]
    assert files == [*pngs, "edit.png", "edited.npz"]
    results = []
    for name in pngs:
        with Image.open(tmp_path / "a" / name) as picture:
            results.append(np.asarray(picture))
        np.testing.assert_array_equal(results[-1][mask == 0], given[mask == 0])
    assert len({result.tobytes() for result in results}) == 3
    with (
        np.load(tmp_path / "a/edited.npz") as a,
        np.load(tmp_path / "b/edited.npz") as b,
    ):
        assert a["seeds"].tolist() == [0, 1, 2] and a["images"].tolist() == ["mine"] * 3
        np.testing.assert_array_equal(a["values"], b["values"])  # the same bits twice
