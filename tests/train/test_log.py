"""metrics.jsonl and the trackers: cut back, damaged, and without room."""

import importlib
import json
import subprocess
import sys
import time
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from tensorboardX.record_writer import RecordWriter

from jaxdiff.files import NoRoom
from jaxdiff.train import log
from jaxdiff.train.trackers import tensorboard

CONFIG = {"this run": {"data.path": "a|b", "seed": 3}, "defaults": {"task": "x"}}


def open_log(folder, step=0, config=None, starts=None):
    starts = (tensorboard.make(),) if starts is None else starts
    return log.Log(folder / "metrics.jsonl", step, starts, config or {})


def written(folder):
    return log.read(folder / "metrics.jsonl")


def test_a_line_cut_short_by_a_kill_is_dropped(tmp_path):
    rows = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "metrics.jsonl").write_text(text + '{"step": 3, "lo')
    assert written(tmp_path) == rows
    opened = open_log(tmp_path, 1)  # resuming at step 1 forgets step 2
    opened.write(2, {"loss": 0.5})
    opened.close()
    assert written(tmp_path) == [rows[0], {"step": 2, "loss": 0.5}]


@pytest.mark.parametrize(
    "line",
    [
        b"xx yy",
        b"",
        b"[]",
        b"3",
        b'"loss"',
        b'{"step": 3}',
        b"x\r{}",
        b"\xff\x00",
        b"[" * 10_000,
        b'{"step": 2, "loss": ' + b"1" * 400 + b"}",
        b'{"step": 2, "loss": 1.0, "grad_norm": ' + b"1" * 400 + b"}",
    ],
)
def test_a_garbled_line_is_named_with_its_cure(tmp_path, line):
    good = b'{"step": 1, "loss": 2.0}\n'
    (tmp_path / "metrics.jsonl").write_bytes(good + line + b"\n" + good)
    with pytest.raises(ValueError) as error:
        open_log(tmp_path)
    text = str(error.value)
    assert f"{tmp_path / 'metrics.jsonl'}, line 2: " in text and "\n" not in text
    assert f"sed -i 2d {tmp_path}" in text and len(text) < 600


def test_the_cure_can_be_pasted_where_the_path_has_a_space(tmp_path):
    folder = tmp_path / "my run"
    folder.mkdir()
    path = folder / "metrics.jsonl"
    path.write_bytes(b'{"step": 1, "loss": 2.0}\nxx\n')
    with pytest.raises(ValueError) as error:
        written(folder)
    command = str(error.value).split("cut the log here (")[1].removesuffix(")")
    subprocess.run(command, shell=True, check=True)
    assert written(folder) == [{"step": 1, "loss": 2.0}]


def events(folder):
    """Step and values of every event, by the record format: length, data, checksums."""
    result = []
    for path in sorted(folder.glob("tensorboard/events.out.tfevents.*")):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:8], "little")
            result.append(tensorboard.Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return result


def test_tensorboard_has_what_the_log_has(tmp_path):
    first = open_log(tmp_path)
    first.write(2, {"loss": 1.5, "lr": 0.25})
    first.close()
    opened = open_log(tmp_path, 2)
    assert len(events(tmp_path)) == 6  # a new file is never empty
    opened.write(4, {"loss": 1.0})
    opened.close()
    about, begin, loss, lr, again, resumed, last = events(tmp_path)
    assert about.file_version == again.file_version == "brain.Event:2"
    values = [(e.step, e.summary.value[0].tag, e.summary.value[0].simple_value)
              for e in (loss, lr, last)]  # fmt: skip
    assert values == [(2, "loss", 1.5), (2, "lr", 0.25), (4, "loss", 1.0)]
    assert (begin.step, resumed.step) == (1, 3) and resumed.session_log.status == 1


def picture(folder):
    path = folder / "00000004.png"
    Image.fromarray(np.zeros((5, 7, 3), np.uint8)).save(path)
    return path


def test_tensorboard_has_samples_and_config(tmp_path):
    opened = open_log(tmp_path, 2, CONFIG)
    opened.image(4, picture(tmp_path))
    opened.close()
    *_, text, image = events(tmp_path)
    assert (text.step, image.step) == (3, 4)
    (value,) = text.summary.value
    assert value.metadata.plugin_data.plugin_name == "text"
    (shown,) = (t.decode() for t in value.tensor.string_val)
    places = [shown.index(t) for t in ("this run", "a\\|b", "| seed | 3 |", "task")]
    assert places == sorted(places)
    (value,) = image.summary.value
    assert (value.tag, value.image.width, value.image.height) == ("samples", 7, 5)
    assert value.image.encoded_image_string == picture(tmp_path).read_bytes()


class FakeWandb(ModuleType):
    """Keeps what it is given; `fails` names the call that raises."""

    def __init__(self, fails=""):
        super().__init__("wandb")
        self.fails, self.inits, self.logged, self.finished = fails, [], [], 0

    def _call(self, name):
        if name == self.fails:
            raise RuntimeError("no network\nand more")

    def init(self, **fields):
        self._call("init")
        self.inits.append(fields)
        return self

    def log(self, values, step):
        self._call("log")
        self.logged.append((step, values))

    def finish(self):
        self._call("finish")
        self.finished += 1

    def Image(self, path):
        return ("image", path)


def wandb_start(monkeypatch, fails=""):
    fake = FakeWandb(fails)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    ours = importlib.import_module("jaxdiff.train.trackers.wandb")
    return fake, ours.make(project="faces")


def test_wandb_has_log_samples_and_config_and_resumes_one_run(tmp_path, monkeypatch):
    fake, start = wandb_start(monkeypatch)
    for step in (0, 2):
        opened = open_log(tmp_path, step, CONFIG, (start,))
        opened.write(step + 2, {"loss": 1.5})
        opened.image(step + 2, picture(tmp_path))
        opened.close()
    assert fake.finished == 2 and not [*tmp_path.glob("tensorboard/*")]
    image = {"samples": ("image", str(picture(tmp_path)))}
    assert fake.logged == [(k, v) for k in (2, 4) for v in ({"loss": 1.5}, image)]
    first, again = fake.inits
    assert first == again and len(first["id"]) == 8 and first["resume"] == "allow"
    assert (first["project"], first["name"]) == ("faces", tmp_path.name)
    assert first["dir"] == str(tmp_path)
    assert first["config"] == {"data.path": "a|b", "seed": 3, "task": "x"}
    other = tmp_path / "other"
    open_log(other, 0, CONFIG, (start,)).close()
    assert fake.inits[-1]["id"] != first["id"]


@pytest.mark.parametrize("fails", ["init", "log", "finish"])
def test_a_failing_tracker_stops_no_run(tmp_path, monkeypatch, capsys, fails):
    fake, start = wandb_start(monkeypatch, fails)
    opened = open_log(tmp_path, 0, CONFIG, (start, tensorboard.make()))
    for step in (1, 2):
        opened.write(step, {"loss": 1.0})
        opened.image(step, picture(tmp_path))
    opened.close()
    assert [row["step"] for row in written(tmp_path)] == [1, 2]
    assert [e.step for e in events(tmp_path)[-4:]] == [1, 1, 2, 2]
    assert fake.finished == (fails == "log")
    line = "note: no network; the run continues without Weights & Biases"
    assert capsys.readouterr().err.splitlines() == [line]


def test_a_missing_package_is_one_line_before_any_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # as if it were not installed
    ours = importlib.import_module("jaxdiff.train.trackers.wandb")
    with pytest.raises(ValueError, match=r"'wandb' needs .* pip install -e '\.\[wandb"):
        ours.make()


@pytest.mark.parametrize("call", ["start", "write", "flush", "close"])
def test_without_room_for_events_the_run_continues(tmp_path, monkeypatch, capsys, call):
    opened = open_log(tmp_path) if call != "start" else None

    def full(self, *_):
        if call == "close":
            self._writer.close()  # a test may leave no open file
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RecordWriter, call.replace("start", "flush"), full)
    monkeypatch.setattr(tensorboard, "FLUSH_SECS", 0)
    began = time.monotonic()
    opened = opened or open_log(tmp_path)
    for step in range(1, 40):
        opened.write(step, {"loss": 1.0})
    opened.close()
    assert time.monotonic() - began < 5
    assert [row["step"] for row in written(tmp_path)] == [*range(1, 40)]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"note: {tmp_path / 'tensorboard'}")
    assert " cannot be written: No space left on device; the run conti" in lines[0]


def test_without_room_for_metrics_the_file_is_named(tmp_path):
    opened = open_log(tmp_path)
    (tmp_path / "metrics.jsonl").unlink()
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(NoRoom, match=r"metrics\.jsonl cannot be written: No space"):
        opened.write(1, {"loss": 1.0})
    opened.close()
