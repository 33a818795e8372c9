"""Runs launchers as their users would, many for the price of one import of JAX.

stdin: a line of JSON a request, {name: [module or file, *arguments]}.  stdout: a line
for each, {name: [status, out, err]}. Every case is a fork of this process before JAX
has touched a device: its own flags, its own devices, its own exit status.
"""

import json
import os
import runpy
import sys
import tempfile
import traceback
import warnings

import jax  # noqa: F401

# what launchers import when they are run
import jaxdiff.runs.edit.run
import jaxdiff.runs.evaluate.run
import jaxdiff.runs.plot.run
import jaxdiff.runs.sample.run
import jaxdiff.runs.train.loop  # noqa: F401
from tests.runs import speck

# chosen by name like jaxdiff's own networks
sys.modules["jaxdiff.models.speck"] = speck


def child(argv: list[str], out: int, err: int) -> None:
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.argv = argv
    status: object = 0
    try:
        if argv[0].endswith(".py"):
            runpy.run_path(argv[0], run_name="__main__")
        else:
            runpy.run_module(argv[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 1)


def run(cases: dict[str, list[str]]) -> dict[str, list]:
    results = {}
    for name, argv in cases.items():
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            pid = os.fork()
            if not pid:
                child(argv, out.fileno(), err.fileno())
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode())
            results[name] = [status, *texts]
    return results


def main() -> None:
    warnings.simplefilter("ignore")  # of forking: no thread of JAX runs yet
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
