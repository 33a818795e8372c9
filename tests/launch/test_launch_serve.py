"""launch.serve: it answers until Ctrl-C, and a mistake is one line."""

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from tests.launch.conftest import ROOT, Outcome, environment, launch, one_line


def start(*words):
    """A process, of which the standard output and error are read."""
    return subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(),
    )


def get(url):
    """Status and content of what the server answers."""
    try:
        with urllib.request.urlopen(url, timeout=300) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_it_answers_until_ctrl_c(trained):
    workdir = trained["table"]
    process = start("-m", "launch.serve", f"--workdir={workdir}", "--port=0")
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert f"{workdir} is at http://127.0.0.1:" in line, process.communicate()
        url = line.split(" is at ")[1].partition(";")[0]
        status, error = get(f"{url}/sample?seed=x")
        assert status == 400 and b"seed must be a whole number" in error
        status, film = get(f"{url}/sample?seed=1&num=2")  # a bad one stops nothing
        assert status == 200 and len(json.loads(film)["x0"][-1]) == 2
        assert get(url)[1].startswith(b"<!doctype html>")
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err and err.splitlines()[-1].startswith(
        "stopped by SIGINT"
    )


@pytest.fixture(scope="module")
def mistakes(trained, tmp_path_factory):
    empty, table = tmp_path_factory.mktemp("empty"), f"--workdir={trained['table']}"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        cases = {
            "a port in use": (table, f"--port={port}"),
            "no run": (f"--workdir={empty}",),
            "a port that is none": (table, "--port=65536"),
            "another field": (table, "--config.sampler.stepps=3"),
        }
        return launch({k: ("launch.serve", *words) for k, words in cases.items()})


MISTAKES = {
    "a port in use": r"--port=\d+: Address already in use; give another, or 0 for any",
    "no run": "config.json",
    "a port that is none": "65535",
    "another field": "stepps",
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line(mistakes, case):
    one_line(mistakes[case], MISTAKES[case])


def test_without_its_extra_it_names_the_cure(trained):
    """starlette cannot be imported, as where it is not installed."""
    code = (
        "import runpy, sys\n"
        "sys.modules['starlette'] = None\n"
        f"sys.argv[:] = ['launch.serve', '--workdir={trained['table']}']\n"
        "runpy.run_module('launch.serve', run_name='__main__', alter_sys=True)\n"
    )
    process = start("-c", code)
    out, err = process.communicate(timeout=300)
    outcome = Outcome(process.returncode, out, err)
    one_line(outcome, r"launch.serve needs starlette: pip install 'jaxdiff\[serve\]'")
