"""Many samples in several files: the same samples, resumed after a stop."""

import json
import shutil

import numpy as np
import pytest

from jaxdiff.runs import shards
from jaxdiff.runs.evaluate import folders
from jaxdiff.runs.experiment import open_run
from jaxdiff.runs.sample import run as sample
from jaxdiff.runs.sweep import work
from tests.runs.conftest import IMAGES, tiny_config, untrained


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = tiny_config(**IMAGES, model__name="speck")
    return untrained(config, tmp_path_factory.mktemp("run"))


def draw(run, out, num=10, shard=4, seed=3, **changes):
    return sample.run(
        sample.prepare(run, out=out, num=num, shard=shard, seed=seed, **changes)
    )


def arrays(out):
    parts = [part for _, part in shards.read(out)]
    return {
        k: np.concatenate([part[k] for part in parts]) for k in ("values", "labels")
    }


def test_numbers_of_each_file():
    parts = shards.split(10, 4)
    assert list(parts) == [f"samples-0000{k}.npz" for k in range(3)]
    np.testing.assert_array_equal(np.concatenate([*parts.values()]), np.arange(10))
    assert max(map(len, parts.values())) == 4
    assert list(shards.split(4, 4)) == ["samples.npz"]


def test_names_of_many_files_are_in_order(tmp_path):
    names = list(shards.split(100_002, 1))
    assert len({*names}) == 100_002
    for name in reversed([*names[:2], *names[99_998:], "samples-of-mine.npz"]):
        (tmp_path / name).touch()
    read = [path.name for path in shards.list_files(tmp_path)]
    assert read == [*names[:2], *names[99_998:]]


def test_a_grid_that_a_stop_prevented_is_made_up_for(run, tmp_path):
    draw(run, tmp_path / "many")
    grid = tmp_path / "many" / "grid.png"
    before, kept = grid.read_bytes(), arrays(tmp_path / "many")
    grid.unlink()  # as after a stop between it and the last file
    draw(run, tmp_path / "many")
    assert grid.read_bytes() == before
    np.testing.assert_array_equal(arrays(tmp_path / "many")["values"], kept["values"])


def test_files_hold_what_one_would_and_are_resumed(run, tmp_path):
    draw(run, tmp_path / "one", shard=10)
    draw(run, tmp_path / "many")
    one, many = arrays(tmp_path / "one"), arrays(tmp_path / "many")
    np.testing.assert_array_equal(one["labels"], many["labels"])
    np.testing.assert_allclose(one["values"], many["values"], atol=2e-3)
    assert (tmp_path / "many" / "grid.png").exists()
    # stopped while the second was being written
    first, second, third = shards.list_files(tmp_path / "many")
    kept = first.stat().st_mtime_ns
    third.unlink()
    second.rename(second.with_name(f".{second.stem}.1.part.npz"))  # cut short
    draw(run, tmp_path / "many")
    assert first.stat().st_mtime_ns == kept
    for name, values in arrays(tmp_path / "many").items():
        np.testing.assert_array_equal(values, many[name])
    assert not list((tmp_path / "many").glob(".*.part*"))
    # as an older version wrote its record, without a field that came later
    record = tmp_path / "many" / "sampling.json"
    stored = json.loads(record.read_text())
    del stored["sampler"]["quantile"]
    record.write_text(json.dumps(stored))
    third.unlink()
    draw(run, tmp_path / "many")
    assert first.stat().st_mtime_ns == kept and third.exists()
    # an evaluation reads both alike
    read = [folders.read(tmp_path / name, run.source) for name in ("one", "many")]
    np.testing.assert_array_equal(read[0].labels, read[1].labels)
    assert abs(read[0].pixels.astype(int) - read[1].pixels).max() <= 1


def test_another_request_loses_nothing(run, tmp_path):
    out = tmp_path / "out"
    draw(run, out)
    with pytest.raises(ValueError, match="not empty; choose"):
        draw(run, out)  # whole already
    shards.list_files(out)[-1].unlink()
    with pytest.raises(ValueError, match="samples of another seed"):
        draw(run, out, seed=4)
    with pytest.raises(ValueError, match="samples of another num"):
        draw(run, out, num=11)
    assert len(shards.list_files(out)) == 2
    draw(run, out, num=3, force=True)
    assert [path.name for path in shards.list_files(out)] == ["samples.npz"]


def test_a_damaged_file_is_named(run, tmp_path):
    draw(run, tmp_path / "out")
    path = shards.list_files(tmp_path / "out")[1]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"samples-00001.npz cannot be read"):
        list(shards.read(tmp_path / "out"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"shard": 0}, "--shard must"), ({"sweeps": ["eta=0,1"]}, "at most --shard 4")],
)
def test_wrong_shards_are_refused(run, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        draw(run, tmp_path, **changes)


def test_another_run_does_not_resume_it(run, tmp_path):
    draw(run, tmp_path / "out")
    shards.list_files(tmp_path / "out")[-1].unlink()
    other = untrained(run.config, tmp_path / "other")
    with pytest.raises(ValueError, match="samples of another workdir"):
        draw(other, tmp_path / "out")


def test_a_run_trained_anew_does_not_resume_it(run, tmp_path):
    """Nor does a record of before checkpoints were in it change what resumes."""
    first = untrained(run.config, tmp_path / "run")
    draw(first, tmp_path / "out")
    record = tmp_path / "out" / "sampling.json"
    kept = record.read_text()
    again = untrained(run.config, tmp_path / "run")  # the same bits
    shards.list_files(tmp_path / "out")[-1].unlink()
    draw(again, tmp_path / "out")
    shutil.rmtree(tmp_path / "run")
    config = run.config.copy_and_resolve_references()
    config.seed += 1
    other = untrained(config, tmp_path / "run")
    shards.list_files(tmp_path / "out")[-1].unlink()
    with pytest.raises(ValueError, match="samples of another checkpoint"):
        draw(other, tmp_path / "out")
    older = json.loads(kept)
    del older["checkpoint"]
    record.write_text(json.dumps(older))
    draw(other, tmp_path / "out")


def test_files_that_are_missing_are_not_passed_over(run, tmp_path):
    """Samples are ordered by class: without the last file, classes would be missing."""
    draw(run, tmp_path / "out")
    shards.list_files(tmp_path / "out")[-1].unlink()
    text = r"samples-00002\.npz is missing, one of 3 files by sampling\.json"
    with pytest.raises(ValueError, match=text):
        folders.read(tmp_path / "out", run.source)
    (tmp_path / "out" / "sampling.json").unlink()
    assert len(folders.read(tmp_path / "out", run.source).pixels) == 8


def test_a_guide_trained_anew_does_not_resume_it(run, tmp_path):
    """It does where the guide was only opened again."""
    weak = untrained(run.config, tmp_path / "weak")
    fields = {"weak": str(tmp_path / "weak"), "weak_scale": 2.0}

    def guided():
        return open_run(run.path).with_sampler(**fields)

    draw(guided(), tmp_path / "out")
    record = json.loads((tmp_path / "out" / "sampling.json").read_text())
    assert record["weak_run"] == weak.made()
    shards.list_files(tmp_path / "out")[-1].unlink()
    draw(guided(), tmp_path / "out")
    shutil.rmtree(tmp_path / "weak")
    config = run.config.copy_and_resolve_references()
    config.seed += 1
    untrained(config, tmp_path / "weak")
    shards.list_files(tmp_path / "out")[-1].unlink()
    with pytest.raises(ValueError, match="samples of another weak run"):
        draw(guided(), tmp_path / "out")
    assert work.is_stale(record, run.path)


def test_force_deletes_no_file_of_another_name(run, tmp_path):
    mine = tmp_path / "samples-of-mine.npz"
    mine.write_text("precious")
    draw(run, tmp_path, num=2, force=True)
    assert mine.read_text() == "precious"
