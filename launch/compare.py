"""Lay folders of samples side by side, with the distance of each to the real data.

python -m launch.compare out/adm out/cfg --judge=runs/fashion_judge --out=out/compare
python -m launch.compare out/adm out/cfg --judge=runs/fashion_judge --out=out/7 \
    --label=7

A folder is one that launch.sample wrote, or any of pictures: FOLDER/*.png, or
FOLDER/CLASS/*.png where CLASS is a class of the judge's data or its number. The judge
is a run of task "classifier", such as configs/fashion_judge.py, and the real data are
its own; or it is the file of Inception's weights (README), with --data=WORKDIR, any run
of the real data. Writes compare.png and compare.json, and prints the table.
"""

import shlex
import sys
from pathlib import Path

from absl import flags

from launch import cli

JUDGE = flags.DEFINE_string("judge", None, "The classifier's run, or Inception's file.")
DATA = flags.DEFINE_string("data", None, "With Inception: a run of the real data.")
OUT = flags.DEFINE_string("out", None, "Folder for compare.png and compare.json.")
LABEL = flags.DEFINE_integer("label", None, "One class only, of samples and of data.")
NUM_REAL = flags.DEFINE_integer(
    "num_real", None, "Real images, drawn by the seed; by default all.", lower_bound=4
)
SEED = flags.DEFINE_integer(
    "seed",
    0,
    "Order of the real images, and blocks of the kernel distance.",
    lower_bound=0,
    upper_bound=2**63 - 1,
)
FORCE = flags.DEFINE_bool("force", False, "Write into a folder that is not empty.")


def main(*folders: str) -> None:
    from jaxdiff.runs.evaluate import compare

    if JUDGE.value is None:
        cli.fail("--judge is missing: the workdir of a classifier's run")
    if OUT.value is None:
        cli.fail("--out is missing: where shall the comparison be written?")
    judge, data = Path(JUDGE.value), Path(DATA.value) if DATA.value else None
    with cli.user_errors():
        request = compare.prepare(
            [Path(folder) for folder in folders],
            judge,
            out=Path(OUT.value),
            data=data,
            label=LABEL.value,
            num_real=NUM_REAL.value,
            seed=SEED.value,
            force=FORCE.value,
        )
        command = shlex.join(["python", "-m", "launch.compare", *sys.argv[1:]])
        compare.run(request, command)


if __name__ == "__main__":
    cli.run(main, word="folder of samples", many=True)
