"""Measure speed: warm, median of several.

python -m launch.bench step   --config=configs/digits.py
python -m launch.bench sample --config=configs/digits.py
python -m launch.bench iris   --config=configs/iris.py --torch_python=PYTHON_WITH_TORCH

Without a config, every solver's order of convergence where the truth is in closed form:

python -m launch.bench solvers --out=out/solvers

And how well a table's columns are inferred from one another, on rows left out:

python -m launch.bench inverse --config=configs/iris.py --out=out/inverse
"""

import json
import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from launch import cli

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The experiment: a config file."
)
NUM_RUNS = flags.DEFINE_integer(
    "num_runs", 5, "Runs after the warm-up; seeds of iris: 3."
)
TORCH = flags.DEFINE_string("torch_python", sys.executable, "A Python that has torch.")
JSON = flags.DEFINE_string("json", None, "Also write the figures to this file.")

OUT = flags.DEFINE_string("out", None, "inverse, solvers: folder for the picture.")

KINDS = ("step", "sample", "iris", "inverse", "solvers")


def main(kind: str) -> None:
    if kind not in KINDS:
        cli.fail(f"no measurement {kind!r}; there are: {', '.join(KINDS)}")
    if kind == "solvers" and OUT.value is None:
        cli.fail("--out is missing: where shall orders.png be written?")
    if kind != "solvers" and CONFIG.value is None:
        cli.fail("--config is missing: --config=configs/digits.py, for example")
    from jaxdiff.runs.bench import inference as inverse
    from jaxdiff.runs.bench import solvers as bench_solvers
    from jaxdiff.runs.bench import speed as bench

    with cli.user_errors():
        if kind == "iris":
            seeds = NUM_RUNS.value if flags.FLAGS["num_runs"].present else 3
            rows = bench.bench_iris(CONFIG.value, seeds, TORCH.value)
        elif kind == "solvers":
            rows = bench_solvers.bench_solvers(Path(OUT.value))
        elif kind == "inverse":
            rows = inverse.bench_inverse(CONFIG.value, OUT.value and Path(OUT.value))
        else:
            run = bench.bench_step if kind == "step" else bench.bench_sample
            rows = [run(CONFIG.value, NUM_RUNS.value)]
    cli.print_rows(rows)
    if JSON.value:
        Path(JSON.value).write_text(json.dumps(rows, indent=2, default=float) + "\n")


if __name__ == "__main__":
    cli.run(main, word="measurement")
