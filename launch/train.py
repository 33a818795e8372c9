"""Train an experiment, or resume it.

python -m launch.train --config=configs/digits.py --workdir=runs/digits
python -m launch.train --config=configs/digits.py --config.train.num_steps=100 --dry_run
"""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from launch import cli
from launch.printing import print_rows

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The experiment: a config file."
)
WORKDIR = flags.DEFINE_string("workdir", None, "Where the run is written, or resumed.")
DRY_RUN = flags.DEFINE_bool("dry_run", False, "Compile, print what it takes, and stop.")


def main() -> None:
    if CONFIG.value is None:
        cli.fail("--config is missing: --config=configs/digits.py, for example")
    if WORKDIR.value is None and not DRY_RUN.value:
        cli.fail("--workdir is missing: where shall the run be written?")
    from jaxdiff.runs.train import dry_run, loop, setup

    with cli.user_errors():
        workdir = WORKDIR.value and Path(WORKDIR.value)
        run = setup.prepare(CONFIG.value, workdir, trust=cli.trusts())
    for line in run.experiment.source.notes:
        print(line)
    if DRY_RUN.value:
        with cli.user_errors(working=True):
            report = dry_run.report(run)
        for title, row in report.items():
            print(f"\n{title}")
            print_rows([row])
        return
    with cli.user_errors(working=True):
        loop.run(run)


if __name__ == "__main__":
    cli.define_trust()
    cli.run(main)
