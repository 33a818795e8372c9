"""Lay folders of samples side by side, with the distance of each to the real data.

python -m launch.compare out/adm out/cfg --features=runs/fashion_features \
    --out=out/compare
python -m launch.compare out/adm out/cfg --features=runs/fashion_features \
    --out=out/7 --label=7

A folder is one that launch.sample wrote, or any of pictures: FOLDER/*.png, or
FOLDER/CLASS/*.png where CLASS is a class of the data or its number. --features is a run
of task "classifier", such as configs/fashion_features.py, and the real data are its
own; or it is the file of Inception's weights (README), with --data=WORKDIR, any run of
the real data. Writes compare.png and compare.json, and prints the table.
"""

import shlex
import sys
from pathlib import Path

from absl import flags

from launch import cli, pages

FEATURES = flags.DEFINE_string(
    "features", None, "The run of a classifier, or the file of Inception's weights."
)
DATA = flags.DEFINE_string("data", None, "With Inception: a run of the real data.")
OUT = flags.DEFINE_string("out", None, "Folder for compare.png and compare.json.")
LABEL = cli.define_label("One class only, of samples and of data.")
NUM_REAL = flags.DEFINE_integer(
    "num_real", None, "Real images, drawn by the seed; by default all.", lower_bound=4
)
SEED = cli.define_seed("Of the order of the real images, and of the blocks of KID.")
FORCE = flags.DEFINE_bool("force", False, "Write into a folder that is not empty.")
pages.define()


def main(*folders: str) -> None:
    from jaxdiff.runs import workdir
    from jaxdiff.runs.evaluate import compare
    from jaxdiff.runs.experiment import Experiment

    if FEATURES.value is None:
        cli.fail("--features is missing: the workdir of a classifier's run")
    if OUT.value is None:
        cli.fail("--out is missing: where shall the comparison be written?")
    trust = cli.trusts()
    with cli.user_errors():
        data = None
        if DATA.value:
            folder = Path(DATA.value)
            data = Experiment(
                workdir.load_config(folder, trust), folder, trust=trust
            ).images
        request = compare.prepare(
            [Path(folder) for folder in folders],
            Path(FEATURES.value),
            out=Path(OUT.value),
            data=data,
            label=LABEL.value,
            num_real=NUM_REAL.value,
            seed=SEED.value,
            force=FORCE.value,
            trust=trust,
        )
    command = shlex.join(["python", "-m", "launch.compare", *sys.argv[1:]])
    with cli.user_errors(working=True):
        compare.run(request, command)


if __name__ == "__main__":
    cli.define_trust()
    cli.run(main, word="folder of samples", many=True)
