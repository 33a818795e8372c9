"""launch.bench: flags that do not fit are one line; --over measures every value."""

import json

import pytest

from tests.launch.conftest import SMALL_IRIS, launch, one_line

COMMAND = ("launch.bench", "step", *SMALL_IRIS)


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    out = f"--out={tmp_path_factory.mktemp('bench') / 'out'}"
    over = "--over=train.batch_size=4,8"
    return launch(
        {
            "no out": (*COMMAND, over),
            "no over": (*COMMAND, out),
            "kind": ("launch.bench", "guidance", over, out),
            "against": (*COMMAND, over, out, "--against=torch"),
            "field": (*COMMAND, "--over=train.batch=4", out),
        }
    )


@pytest.mark.parametrize(
    ("name", "words"),
    {
        "no out": "--out is missing: where shall growth.png be written",
        "no over": "--out: launch.bench step draws nothing without --over",
        "kind": "--over is for step, forward, sample, and not for guidance",
        "against": "--over is for step, forward, sample, and does not go with",
        "field": "no field 'train.batch'",
    }.items(),
)
def test_what_does_not_fit_is_one_line(name, words, refused):
    one_line(refused[name], words)


@pytest.mark.slow
def test_every_value_is_measured_in_a_process_of_its_own(tmp_path):
    done = launch(
        {
            "over": (
                *COMMAND,
                "--num_runs=1",
                "--over=train.batch_size=4,6",
                "--over=train.cpu_devices=1,3",
                f"--out={tmp_path}",
                f"--json={tmp_path}/rows.json",
            )
        }
    )["over"]
    assert done.status == 0, done.err
    for path in (tmp_path / "growth.json", tmp_path / "rows.json"):
        rows = json.loads(path.read_text())
        rows = rows["rows"] if isinstance(rows, dict) else rows
        assert [row["value"] for row in rows] == [4, 6, 1, 3]
        assert rows[0]["ms per step"] == rows[2]["ms per step"]  # one config
        assert rows[1]["ms per step"]["median"] > 0 and not rows[1]["problem"]
        # a batch of 4 cannot be split over three devices
        assert "train.batch_size=4 must divide" in rows[3]["problem"]
    assert (tmp_path / "growth.png").stat().st_size > 10_000
