"""`.ci/run`: the README's test command, then the slow tests; fails if either fails."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SLOW = 'case "$*" in *"-m slow") true;; *) false;; esac'
# Which of the two commands fail, as a condition in bash.
FAILS = {"none": "false", "tests": f"! {{ {SLOW}; }}", "slow": SLOW, "both": "true"}


@pytest.fixture
def clone(tmp_path):
    """`.ci/run` with a python3, pip and python that note how they are called."""
    programs = {
        "python3": "mkdir -p .venv/bin && cp pip python .venv/bin\n",
        "pip": 'echo "$*" >> pip.log\n',
        "python": 'echo "$*" >> python.log\n',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{text}")
        (tmp_path / name).chmod(0o755)
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    return tmp_path


@pytest.mark.parametrize("failing", FAILS)
def test_both_run_and_either_fails_it(failing, clone):
    (line,) = (
        line
        for line in (ROOT / "README.md").read_text().splitlines()
        if "-m pytest" in line
    )
    with (clone / "python").open("a") as file:
        file.write(f"if {FAILS[failing]}; then exit 3; fi\n")
    environment = {**os.environ, "PATH": f"{clone}:{os.environ['PATH']}"}
    done = subprocess.run([clone / ".ci" / "run"], env=environment)
    assert (done.returncode == 0) == (failing == "none")
    assert "-e .[test]" in (clone / "pip.log").read_text()
    first, slow = (clone / "python.log").read_text().splitlines()
    assert first.startswith(line.partition("/bin/python ")[2]) and "slow" not in first
    assert slow == f"{first} -m slow"
