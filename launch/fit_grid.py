"""Fit the times at which a trained model is evaluated, for few steps.

python -m launch.fit_grid --workdir=runs/digits --out=out/grids --steps=5,10
python -m launch.fit_grid --workdir=runs/digits --out=out/grids2 --steps=10 \
    --config.sampler.solver=dpmpp_2m --config.sampler.guidance=2.0

Prints the error of every known grid and of the fitted one, on noise that it was not
fitted to, and the two options that sample with it.
"""

import sys
from pathlib import Path

from absl import flags

from launch import cli, pages
from launch.printing import print_rows

WORKDIR = flags.DEFINE_string("workdir", None, "The run whose grid is fitted.")
OUT = flags.DEFINE_string("out", None, "Folder for grids.png, samples.png, grids.txt.")
STEPS = flags.DEFINE_list("steps", ["5", "10"], "Numbers of steps, each a grid.")
NUM = flags.DEFINE_integer(
    "num", 200, "Samples it is fitted to, and as many to test it on."
)
SEED = cli.define_seed("Of the noise.")
FORCE = flags.DEFINE_bool("force", False, "Write into a folder that is not empty.")
pages.define()


def main() -> None:
    from jaxdiff.runs.experiment import open_run
    from jaxdiff.runs.fit_grid import run as fit_grid

    if OUT.value is None:
        cli.fail("--out is missing: where shall the pictures be written?")
    if not all(step.isascii() and step.isdigit() for step in STEPS.value):
        cli.fail(f"--steps must be numbers, as in --steps=5,10, got {STEPS.value}")
    with cli.user_errors():
        request = fit_grid.prepare(
            open_run(Path(WORKDIR.value), flags.FLAGS.config, trust=cli.trusts()),
            out=Path(OUT.value),
            steps=[int(step) for step in STEPS.value],
            num=NUM.value,
            seed=SEED.value,
            force=FORCE.value,
        )
    with cli.user_errors(working=True):
        rows = fit_grid.run(request)
    print_rows([{k: v for k, v in r.items() if k != "times"} for r in rows])


if __name__ == "__main__":
    cli.define_stored_config(sys.argv)
    cli.run(main)
