"""Pictures that several commands draw."""

import numpy as np
from PIL import Image

from jaxdiff.data import synthetic
from jaxdiff.runs.shared_pictures import save_samples


def test_a_grid_of_some_samples_has_rows_of_every_class(tmp_path):
    source = synthetic.make((4, 4, 1), 10, 20)
    labels = np.repeat(np.arange(10), 50)
    values = np.broadcast_to(20.0 * labels[:, None, None, None], (500, 4, 4, 1))
    save_samples(tmp_path / "grid.png", source, values, labels, 40)
    grid = np.asarray(Image.open(tmp_path / "grid.png").convert("L"))
    down, across = 10, 4
    # images of 48 pixels, beside the names of classes
    edge, cell = 7, 49
    grid = grid[-down * cell - 1 - edge : -edge, -across * cell - 1 - edge : -edge]
    # the middle of each enlarged image; a pixel of white stands between them
    rows = grid[grid.shape[0] // (2 * down) :: grid.shape[0] // down]
    shown = rows[:down, grid.shape[1] // (2 * across) :: grid.shape[1] // across]
    assert shown[:, :across].tolist() == [[20 * k] * across for k in range(down)]
