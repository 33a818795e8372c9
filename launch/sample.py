"""Draw samples from a trained run.

python -m launch.sample --workdir=runs/digits --out=samples --num=100
python -m launch.sample --workdir=runs/digits --out=sevens --label=7 --png \
    --config.sampler.num_steps=20 --config.sampler.guidance=3.0
python -m launch.sample --workdir=runs/iris --out=virginica --fix class=virginica
python -m launch.sample --workdir=runs/iris --out=which --num=500 \
    --fix "petal length (cm)=1.4" --fix "petal width (cm)=0.2"

grid.png names the classes of its rows beside them; --png writes every image alone,
pixel by pixel, and samples.npz has the values.

A sweep is every combination from the same noise, as one program:

python -m launch.sample --workdir=runs/digits --out=sheet --num=10 \
    --sweep guidance=1,2,4 --sweep eta=0,1
"""

import sys
from pathlib import Path

from absl import flags

from launch import cli, pages

WORKDIR = flags.DEFINE_string("workdir", None, "The run to sample from.")
OUT = flags.DEFINE_string("out", None, "Folder for grid.png, samples.npz and the rest.")
NUM = flags.DEFINE_integer("num", 100, "How many samples.")
SEED = cli.define_seed("Sample i depends on (seed, i) alone.")
LABEL = cli.define_label("One class only; by default all, evenly.")
PNG = flags.DEFINE_bool("png", False, "Also write every image as a PNG of its own.")
FIX = flags.DEFINE_multi_string(
    "fix", [], "COLUMN=VALUE of a table, kept while the rest is sampled; repeatable."
)
SWEEP = flags.DEFINE_multi_string(
    "sweep",
    [],
    "NAME=V1,V2: numbers of config.sampler (guidance...) or of its solver, grid or "
    "rule (eta, churn, rho...) to combine; repeatable. Draws sheet.png.",
)
SHARD = flags.DEFINE_integer(
    "shard",
    10_000,
    "Samples in a file. More are written as samples-00000.npz and on; the same command "
    "resumes where it was stopped.",
)
FORCE = flags.DEFINE_bool("force", False, "Write into a folder that is not empty.")
pages.define(images=True)


def main() -> None:
    from jaxdiff.runs.experiment import open_run
    from jaxdiff.runs.sample import run as sample

    if OUT.value is None:
        cli.fail("--out is missing: where shall the samples be written?")
    with cli.user_errors():
        run = open_run(Path(WORKDIR.value), flags.FLAGS.config, trust=cli.trusts())
        request = sample.prepare(
            run,
            out=Path(OUT.value),
            num=NUM.value,
            seed=SEED.value,
            label=cli.chosen_class(LABEL.value, run.source),
            png=PNG.value,
            force=FORCE.value,
            fix=FIX.value,
            sweeps=SWEEP.value,
            shard=SHARD.value,
        )
    with cli.user_errors(working=True):
        sample.run(request)


if __name__ == "__main__":
    cli.define_stored_config(sys.argv)
    cli.run(main, varied=lambda: [text.partition("=")[0] for text in SWEEP.value])
