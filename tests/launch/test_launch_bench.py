"""launch.bench: flags that do not fit are one line; --over measures every value."""

import json

import pytest

from tests.launch.conftest import SMALL_IRIS, launch, one_line

COMMAND = ("launch.bench", "step", *SMALL_IRIS)


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    out = f"--out={folder / 'out'}"
    (folder / "growth.png").write_text("precious")
    (folder / "pdf").mkdir()
    (folder / "pdf" / "growth.pdf").write_text("precious")
    over = "--over=train.batch_size=4,8"
    return launch(
        {
            "no out": (*COMMAND, over),
            "no over": (*COMMAND, out),
            "kind": ("launch.bench", "guidance", over, out),
            "against": (*COMMAND, over, out, "--against=torch"),
            "there": (*COMMAND, over, f"--out={folder}"),
            "file": (*COMMAND, over, f"--out={folder / 'growth.png'}"),
            "field": (*COMMAND, "--over=train.batch=4", out),
            "pdf": (*COMMAND, over, f"--out={folder / 'pdf'}", "--format=pdf"),
            "json": (*COMMAND, f"--json={folder / 'growth.png'}"),
            "folder": (*COMMAND, f"--json={folder}", "--force"),
            "closed form": ("launch.bench", "guidance", *SMALL_IRIS, out),
            "once": ("launch.bench", "solvers", "--num_runs=3", out),
            "dpi": (*COMMAND, "--dpi=300"),
            "forced": (*COMMAND, "--force"),
            "python": ("launch.bench", "iris", *SMALL_IRIS, "--peer_python=nowhere/py"),
        }
    )


@pytest.mark.parametrize(
    ("name", "words"),
    {
        "no out": "--out is missing: where shall growth.png be written",
        "no over": "--out: launch.bench step draws nothing without --over",
        "kind": "--over is for step, forward, sample, and not for guidance",
        "against": "--over is for step, forward, sample, and does not go with",
        "there": "growth.png exists; --force overwrites",
        "file": "growth.png",
        "field": "no field 'train.batch'",
        "pdf": "growth.pdf exists; --force overwrites",
        "json": "growth.png exists; --force overwrites",
        "folder": "is a folder; give the name of a file",
        "closed form": "--config: guidance is measured in closed form: leave it out",
        "once": "--num_runs is for step, forward, sample, iris, networks, not for",
        "dpi": "--dpi: launch.bench step draws nothing without --over: leave it out",
        "forced": "--force changes nothing where no file is written",
        "python": "--peer_python=nowhere/py is no program; give the Python",
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
                "--over=train.cpu_devices=1,2",
                f"--out={tmp_path}",
                f"--json={tmp_path}/rows.json",
            )
        }
    )["over"]
    assert done.status == 0, done.err
    for path in (tmp_path / "growth.json", tmp_path / "rows.json"):
        rows = json.loads(path.read_text())
        rows = rows["rows"] if isinstance(rows, dict) else rows
        assert [row["value"] for row in rows] == [4, 6, 1, 2]
        assert rows[0]["ms per step"] == rows[2]["ms per step"]  # one config
        assert all(row["ms per step"]["median"] > 0 for row in rows)
    assert (tmp_path / "growth.png").stat().st_size > 10_000
