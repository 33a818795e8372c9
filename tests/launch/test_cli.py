"""What the launchers make of errors, of near names and of --help."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from jaxdiff.arrays import require
from jaxdiff.plots import pictures
from launch import cli, hints, printing
from tests.launch.conftest import launch, one_line


def refuse():
    require(False, "train.lr is wrong")


def test_a_check_is_one_line_also_at_work(capsys):
    with pytest.raises(SystemExit) as end, cli.user_errors(working=True):
        refuse()
    assert end.value.code == 2
    assert capsys.readouterr().err == "error: train.lr is wrong\n"


BUGS = {
    "of Python, in jaxdiff": lambda: pictures.save_rows(Path("x"), {}),
    "of a library": lambda: int("x"),
    "of another file": lambda: (_ for _ in ()).throw(ValueError("here")),
}


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_at_work_shows_its_traceback(name):
    with pytest.raises(ValueError), cli.user_errors(working=True):
        BUGS[name]()


@pytest.mark.parametrize("error", [OSError("disk"), MemoryError("x"), ValueError("x")])
def test_before_work_every_such_error_is_one_line(error, capsys):
    with pytest.raises(SystemExit), cli.user_errors():
        raise error
    assert capsys.readouterr().err == f"error: {error}\n"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("digits", "configs/digits.py"),
        ("digits.py:smoke", "configs/digits.py:smoke"),
        ("configs/digits", "configs/digits.py"),
        ("configs/digits.py", "configs/digits.py"),
        ("digits:smoke", "configs/digits.py:smoke"),
    ],
)
def test_a_config_is_read_by_its_name(name, path):
    assert hints.find_config(name).endswith(path)


def test_a_config_that_is_not_there_has_a_near_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the ready ones are there from anywhere
    assert hints.find_config("iris").endswith("configs/iris.py")
    for name in ("digts", "configs/digts.py:smoke", "digts.py"):
        with pytest.raises(FileNotFoundError, match=r"digts.*; did you mean digits\?"):
            hints.find_config(name)
    with pytest.raises(FileNotFoundError, match=r"no file ; the ready ones"):
        hints.find_config("")


@pytest.mark.parametrize(
    "given", [["--config=iris"], ["-config=iris"], ["--config", "iris"]]
)
def test_the_name_of_a_config_is_replaced_in_its_flag_alone(given):
    argv = ["launch.bench", "iris", *given, "--out=iris"]
    hints.write_config(argv, "iris", "x/iris.py")
    flag = [*given[:-1], given[-1].removesuffix("iris") + "x/iris.py"]
    assert argv == ["launch.bench", "iris", *flag, "--out=iris"]


@pytest.mark.parametrize(
    ("flag", "stored", "fields"),
    [
        ("num_steps", True, "--config.sampler.num_steps?"),
        ("num_steps", False, "--config.train.num_steps or --config.sampler.num_steps?"),
        ("sampler.guidance", True, "--config.sampler.guidance?"),
        ("batchsize", False, "--config.train.batch_size or"),
        ("zzz", False, ""),
    ],
)
def test_a_field_that_is_no_flag_is_named(flag, stored, fields):
    text = hints.near_field(flag, stored)
    assert text.startswith(f". Did you mean {fields}") if fields else text == ""


@pytest.fixture(scope="module")
def outcomes():
    launchers = (
        "train",
        "sample",
        "edit",
        "plot",
        "evaluate",
        "compare",
        "fit_grid",
        "export",
    )
    cases = {name: (f"launch.{name}", "--help") for name in launchers}
    iris = "--config=iris:smoke"
    cases["field"] = ("launch.train", iris, "--dry_run", "--config.train.num_stesp=1")
    cases["flag"] = ("launch.train", iris, "--dry_run", "--num_steps=10")
    cases["by name"] = ("launch.train", iris, "--dry_run")
    return launch(cases)


@pytest.mark.parametrize("name", ["train", "sample", "edit", "plot", "evaluate"])
def test_help_is_no_error_and_shows_the_fields(outcomes, name):
    status, out, err = outcomes[name]
    assert (status, err) == (0, "")
    assert "--config.FIELD=VALUE" in out and "guidance, rule, interval" in out
    assert ("--ema" in out) == (name != "train") == ("--seed" in out)


def test_help_of_the_others(outcomes):
    assert outcomes["compare"].status == outcomes["fit_grid"].status == 0
    assert (
        "--ema" in outcomes["fit_grid"].out and "--ema" not in outcomes["compare"].out
    )


def test_names_are_read_and_hints_have_plain_quotes(outcomes):
    assert outcomes["by name"].status == 0 and "parameters" in outcomes["by name"].out
    one_line(outcomes["flag"], r"mean --config\.train\.num_steps or --config\.sampler")
    one_line(outcomes["field"], "no field 'num_stesp' Did you mean \"num_steps\"")
    assert not re.search(r"\\['n]", outcomes["field"].err)


@pytest.mark.parametrize(
    ("word", "expanded"),
    [
        ("--workdir=~/runs/a", "--workdir=/home/me/runs/a"),
        ("--config.data.path=~", "--config.data.path=/home/me"),
        ("~/runs/a", "/home/me/runs/a"),
        ("--fix=a=~/b", "--fix=a=~/b"),
        ("--config.data.columns=('~a',)", "--config.data.columns=('~a',)"),
        ("--force", "--force"),
        ("", ""),
    ],
)
def test_the_home_folder_is_written_out(monkeypatch, word, expanded):
    monkeypatch.setenv("HOME", "/home/me")
    argv = ["~program", word]
    hints.expand_home(argv)
    assert argv == ["~program", expanded]
    hints.expand_home(argv)
    assert argv[1] == expanded


def test_a_terminal_is_not_obeyed():
    assert printing.printable("größe \x1b[31m\u202e文") == "größe \\x1b[31m\\u202e文"


def test_help_ends_quietly_when_nobody_reads_on():
    """As `--help | head` does: the pipe has no reader when the text is written."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "launch.bench", "--help"]
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0
