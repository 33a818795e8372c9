"""Launchers take memory in large pages, where the system leaves it to the program."""

import os
import subprocess
import sys

import pytest

from launch import allocator

TUNABLES, ONCE = "GLIBC_TUNABLES", {"JAXDIFF_STARTED_AGAIN": "1"}
ON = {TUNABLES: "glibc.malloc.hugetlb=1"} | ONCE


@pytest.mark.parametrize(
    ("system", "given", "expected"),
    [
        ("always [madvise] never", None, ON),
        ("always [madvise] never", "", ON),
        (
            "always [madvise] never",
            "glibc.malloc.arena_max=1",
            {TUNABLES: "glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1"} | ONCE,
        ),
        ("always [madvise] never", "glibc.malloc.hugetlb=0", {}),
        ("[always] madvise never", None, {}),
        ("always madvise [never]", None, {}),
        (None, None, {}),  # no Linux
    ],
)
def test_the_environment_changes_only_where_that_matters(
    tmp_path, system, given, expected
):
    file = tmp_path / "enabled"
    if system:
        file.write_text(system + "\n")
    environ = {} if given is None else {"GLIBC_TUNABLES": given}
    assert allocator.changes(environ, file) == expected
    # and never twice, should a wrapper of Python set the variable back
    assert allocator.changes(environ | ONCE, file) == {}


PROGRAM = """
import os, pathlib, sys
from launch import allocator
allocator.SYSTEM = pathlib.Path(sys.argv[1])
print(os.getpid(), flush=True)
allocator.use()
print(os.environ["GLIBC_TUNABLES"], *sys.argv[2:], sep="|")
sys.exit(3)
"""


def test_a_command_starts_again_once_as_the_same_process(tmp_path):
    file = tmp_path / "enabled"
    file.write_text("always [madvise] never\n")
    words = ["--label=a b", "*"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file), *words],
        env={k: v for k, v in os.environ.items() if k not in ON},
        capture_output=True,
        text=True,
    )
    first, second, last = done.stdout.split("\n")[:3]
    assert first == second, done.stderr
    assert last == "|".join([ON[TUNABLES], *words])
    assert done.returncode == 3


@pytest.mark.parametrize(
    ("command", "again"),
    [(["-m", "launch.runs"], True), (["-c", "import launch"], False)],
)
def test_a_launcher_starts_again_and_an_import_does_not(tmp_path, command, again):
    (tmp_path / "sitecustomize.py").write_text(
        "import os\nos.execve = lambda *_: (print('again'), os._exit(0))\n"
        "import pathlib\nread = pathlib.Path.read_text\n"
        "pathlib.Path.read_text = lambda path, *a, **k: ('[madvise]' if\n"
        "    'hugepage' in str(path) else read(path, *a, **k))\n"
    )
    environ = {k: v for k, v in os.environ.items() if k not in ON}
    environ["PYTHONPATH"] = os.pathsep.join([str(tmp_path), os.getcwd()])
    done = subprocess.run(
        [sys.executable, *command], env=environ, capture_output=True, text=True
    )
    assert (done.stdout == "again\n") == again, done.stderr
