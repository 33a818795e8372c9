"""Every kind of edit with a model of random weights."""

import shutil
from dataclasses import replace

import chex
import numpy as np
import pytest
from PIL import Image

from jaxdiff.runs.edit import inputs, invert
from jaxdiff.runs.edit import run as edit
from jaxdiff.runs.edit.known import LUMA
from jaxdiff.runs.edit.request import EditRequest
from jaxdiff.runs.experiment import Experiment


@pytest.fixture
def done(edited, tmp_path):
    """As `edited`: the result, and edited.npz."""

    def carry_out(*args, **fields):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        _, result = edited(*args, **fields)
        with Image.open(tmp_path / "out" / "edit.png") as picture:
            assert min(picture.size) > 60
        with np.load(tmp_path / "out" / "edited.npz") as saved:
            return result, dict(saved)

    return carry_out


def truth(index, run, runs):
    return inputs.from_data(index, runs[run].source).values


# --- what each kind does ---


def test_vary_starts_at_its_strength(done, runs):
    result, saved = done("vary", index=["0", "1"], num=3, strength=0.7)
    assert saved["values"].shape == (6, 8, 8, 1) and saved["seeds"].tolist() == [
        *range(6)
    ]
    # times 1, 2/3, 1/3, 0 of three steps
    assert "from t=0.67, 2 NFE each" in result.summary
    assert len(np.unique(saved["values"].reshape(6, -1)[:, 5])) == 6
    assert (0 <= saved["values"]).all() and (saved["values"] <= 255).all()
    # an image depends on its own seed alone: with fewer images, in other batches
    alone = done("vary", sampling={"batch_size": 2}, index=["0"], num=3, strength=0.7)[
        1
    ]
    np.testing.assert_allclose(alone["values"], saved["values"][:3], atol=0.02)
    labels = inputs.from_data(["0:2"], runs["grey"].source).cond
    assert saved["labels"].tolist() == np.repeat(labels, 3).tolist()
    other = done("vary", index=["0", "1"], num=3, strength=0.7, label=2)[1]
    assert other["labels"].tolist() == [2] * 6


@pytest.mark.parametrize("how", ["replace", "resample", "project", "pigdm"])
def test_inpainting_keeps_what_it_keeps(how, done, files):
    sampling = {"resample": 2, "solver": "ddpm"} if how == "resample" else {}
    method = how if how in ("project", "pigdm") else ""
    _, saved = done(
        *("inpaint", "grey", sampling),
        images=[str(files / "three")],
        mask=str(files / "mask.png"),
        num=2,
        method=method,
        png=True,
    )
    values = saved["values"].reshape(3, 2, 8, 8)
    with Image.open(files / "mask.png") as picture:
        anew = np.asarray(picture) > 0
    for i in range(3):
        with Image.open(files / "three" / f"{i}.png") as picture:
            given = np.asarray(picture, np.float32)
        for j in range(2):
            np.testing.assert_array_equal(values[i, j][~anew], given[~anew])
            assert np.abs(values[i, j] - given)[anew].mean() > 5
    assert saved["images"].tolist() == ["0", "0", "1", "1", "2", "2"]


def test_known_pixels_are_exact_in_the_files(done, files, tmp_path):
    done("inpaint", images=[str(files / "a.png")], mask="left", num=1, png=True)
    with (
        Image.open(tmp_path / "out" / "000000.png") as a,
        Image.open(files / "a.png") as b,
    ):
        np.testing.assert_array_equal(np.asarray(a)[:, 4:], np.asarray(b)[:, 4:])


def test_the_hidden_part_has_no_effect(done, files, tmp_path):
    """Two images that differ only where they are drawn anew give the same."""
    with Image.open(files / "a.png") as picture:
        pixels = np.array(picture)
    pixels[:, :4] = 255 - pixels[:, :4]
    Image.fromarray(pixels).save(tmp_path / "b.png")
    one, two = (
        done("inpaint", images=[str(name)], mask="left", num=1)[1]["values"]
        for name in (files / "a.png", tmp_path / "b.png")
    )
    np.testing.assert_array_equal(one, two)


def test_invert_and_back(done, runs):
    sampling = {"solver": "dpmpp_2m", "grid": "log_snr", "num_steps": 40}
    result, saved = done("invert", "grey", sampling, index=["0:2"])
    error = np.abs(saved["values"] - truth(["0:2"], "grey", runs)).mean() * 2 / 255
    assert error < 0.02 and f"{error:.4f}" in result.summary
    assert "40 + 40 NFE each" in result.summary
    assert saved["noise"].shape == (2, 8, 8, 1)
    assert result.names == ["reconstruction"]


def test_every_solver_measured(done, monkeypatch):
    some = ("ddpm", "heun")  # all of them are compiled for many seconds
    monkeypatch.setattr(invert, "members", lambda home: some)
    sampling = {"grid": "log_snr"}
    result, _ = done("invert", "grey", sampling, index=["0:2"], every=True, nfe=20)
    lines = result.summary.splitlines()
    line = next(line for line in lines if line.startswith("heun"))
    assert 10 <= int(line.split()[-2]) <= 20
    left = next(line for line in lines if "left out" in line)
    assert "ddpm" in left and "heun" not in left and len(result.rows) == 2


def test_interpolation_ends_at_its_images(done, runs):
    sampling = {"solver": "dpmpp_2m", "grid": "log_snr", "num_steps": 40}
    _, saved = done("interpolate", "grey", sampling, index=["0", "1"], num=3)
    real = truth(["0", "1"], "grey", runs)
    ends = np.abs(saved["values"][[0, 2]] - real).mean() * 2 / 255
    assert ends < 0.02
    assert np.abs(saved["values"][1] - real).mean(axis=(1, 2, 3)).min() > 1


def test_upscaling_agrees_with_the_small_image(done, files):
    sampling = {"clip": False}
    for method in ("project", "pigdm"):
        fields = {"images": [str(files / "small.png")], "num": 2, "method": method}
        result, saved = done("upscale", "grey", sampling, **fields)
        with Image.open(files / "small.png") as picture:
            small = np.asarray(picture, np.float32)
        means = saved["values"].reshape(2, 4, 2, 4, 2).mean((2, 4))
        # decoding clips what is beyond black and white
        inside = (saved["values"] > 0) & (saved["values"] < 255)
        inside = inside.reshape(2, 4, 2, 4, 2).all((2, 4))
        np.testing.assert_allclose(
            means[inside], np.stack([small, small])[inside], atol=0.05
        )
        assert not result.after  # of a file there is no truth


def test_colouring_agrees_with_the_grey_image(done, runs):
    result, saved = done("colourise", "colour", index=["0:2"], num=2)
    real = truth(["0:2"], "colour", runs)
    grey, inside = (
        saved["values"] @ LUMA,
        (saved["values"] > 0) & (saved["values"] < 255),
    )
    inside = inside.all(-1)
    np.testing.assert_allclose(
        grey[inside], np.repeat(real @ LUMA, 2, 0)[inside], atol=0.05
    )
    assert "truth" in result.after and "labels" not in saved


def test_files_without_a_class_are_drawn_without_one(done, files):
    _, saved = done("vary", images=[str(files / "a.png")], num=1)
    assert saved["labels"].tolist() == [3]  # the model's "no label"


def test_a_condition_of_any_kind_goes_with_its_image(runs, tmp_path):
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    cond = {"vector": vectors, "mask": np.ones((3, 4), bool)}
    null = {"vector": np.array([7.0, 8.0], np.float32), "mask": False}
    run = Experiment(runs["grey"].config)
    task = runs["grey"].task._replace(
        example_cond={k: a[:1] for k, a in cond.items()}, null=null
    )
    source = replace(runs["grey"].source, num_classes=0, class_names=())
    vars(run).update(task=task, source=source)
    images = inputs.EditInputs(np.zeros((3, 8, 8, 1)), ["a", "b", "c"], cond, True)
    request = EditRequest(run)
    chex.assert_trees_all_equal(request.conditions(images), cond)
    same = np.array([[7.0, 8.0]] * 3, np.float32)
    expected = {"vector": same, "mask": np.zeros((3, 4), bool)}
    unknown = request.conditions(images._replace(cond=None))
    chex.assert_trees_all_equal(unknown, expected)


def test_other_sizes_are_resized_on_request(edited, files):
    request, _ = edited("vary", images=[str(files / "wide.png")], resize=True)
    assert request.inputs().values.shape == (1, 8, 8, 1)


def test_pictures_of_an_edit_before_do_not_stay(edited, runs, tmp_path):
    edited("vary", index=["0:2"], num=2, png=True)
    (tmp_path / "out" / "mine.png").touch()
    request = EditRequest(runs["grey"], index=["0"], num=1, png=True)
    edit.run("vary", request, tmp_path / "out", force=True)
    pictures = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert pictures == {"000000.png", "edit.png", "mine.png"}


def test_an_edit_that_was_cut_short_is_made_anew(edited, tmp_path):
    _, whole = edited("vary", index=["0"])
    (tmp_path / "out" / "edit.png").unlink()
    _, again = edited("vary", index=["0"])
    chex.assert_trees_all_equal(again.values, whole.values)
    assert (tmp_path / "out" / "edit.png").is_file()
