"""Many samples in several files: the same samples, gone on with after a stop."""

import numpy as np
import pytest

from jaxdiff.runs import shards
from jaxdiff.runs.evaluate import folders
from jaxdiff.runs.sample import run as sample
from tests.runs.conftest import IMAGES, tiny_config, untrained

ASKED = {"seed": 3, "label": None, "png": False, "force": False}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    config = tiny_config(**IMAGES, model__name="speck")
    folder = tmp_path_factory.mktemp("run")
    untrained(config, folder)
    return folder, config


def draw(trained, out, num=10, shard=4, **changes):
    asked = {**ASKED, **changes}
    return sample.run(sample.prepare(*trained, out=out, num=num, shard=shard, **asked))


def arrays(out):
    parts = [some for _, some in shards.read(out)]
    return {k: np.concatenate([p[k] for p in parts]) for k in ("values", "labels")}


def test_numbers_of_each_file():
    parts = shards.plan(10, 4)
    assert list(parts) == [f"samples-0000{k}.npz" for k in range(3)]
    np.testing.assert_array_equal(np.concatenate([*parts.values()]), np.arange(10))
    assert max(map(len, parts.values())) == 4
    assert list(shards.plan(4, 4)) == ["samples.npz"]


def test_files_hold_what_one_would_and_are_gone_on_with(trained, tmp_path):
    draw(trained, tmp_path / "one", shard=10)
    draw(trained, tmp_path / "many")
    one, many = arrays(tmp_path / "one"), arrays(tmp_path / "many")
    np.testing.assert_array_equal(one["labels"], many["labels"])
    np.testing.assert_allclose(one["values"], many["values"], atol=2e-3)
    assert (tmp_path / "many" / "grid.png").exists()
    # stopped while the second was being written
    first, second, third = shards.found(tmp_path / "many")
    kept = first.stat().st_mtime_ns
    third.unlink()
    second.rename(second.with_suffix(".part"))
    draw(trained, tmp_path / "many")
    assert first.stat().st_mtime_ns == kept
    for name, values in arrays(tmp_path / "many").items():
        np.testing.assert_array_equal(values, many[name])
    assert not list((tmp_path / "many").glob("*.part"))
    # a judge reads both alike
    source = sample.load(*trained).source
    read = [folders.read(tmp_path / name, source) for name in ("one", "many")]
    np.testing.assert_array_equal(read[0].labels, read[1].labels)
    assert abs(read[0].pixels.astype(int) - read[1].pixels).max() <= 1


def test_another_request_loses_nothing(trained, tmp_path):
    out = tmp_path / "out"
    draw(trained, out)
    with pytest.raises(ValueError, match="not empty; choose"):
        draw(trained, out)  # whole already
    shards.found(out)[-1].unlink()
    with pytest.raises(ValueError, match="samples of another seed"):
        draw(trained, out, seed=4)
    with pytest.raises(ValueError, match="samples of another num"):
        draw(trained, out, num=11)
    assert len(shards.found(out)) == 2
    draw(trained, out, num=3, force=True)
    assert [path.name for path in shards.found(out)] == ["samples.npz"]


def test_a_damaged_file_is_named(trained, tmp_path):
    draw(trained, tmp_path / "out")
    path = shards.found(tmp_path / "out")[1]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"samples-00001.npz cannot be read"):
        list(shards.read(tmp_path / "out"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"shard": 0}, "--shard must"), ({"sweep": ["eta=0,1"]}, "at most --shard 4")],
)
def test_wrong_shards_are_said(trained, tmp_path, changes, says):
    with pytest.raises(ValueError, match=says):
        draw(trained, tmp_path, **changes)


def test_another_run_does_not_go_on_with_it(trained, tmp_path):
    draw(trained, tmp_path / "out")
    shards.found(tmp_path / "out")[-1].unlink()
    untrained(trained[1], tmp_path / "other")
    with pytest.raises(ValueError, match="samples of another workdir"):
        draw((tmp_path / "other", trained[1]), tmp_path / "out")


def test_force_deletes_no_file_of_another_name(trained, tmp_path):
    mine = tmp_path / "samples-of-mine.npz"
    mine.write_text("precious")
    draw(trained, tmp_path, num=2, force=True)
    assert mine.read_text() == "precious"
