"""A run in numbers: its samples against its data, and how likely it finds the data.

python -m launch.evaluate --workdir=runs/digits --judge=runs/digits_judge --out=out/eval
python -m launch.evaluate --workdir=runs/digits --out=out/few --metrics=frechet \
    --judge=runs/digits_judge --num=2000 --config.sampler.num_steps=10
python -m launch.evaluate --workdir=runs/iris --out=out/iris    # a table needs no judge
python -m launch.evaluate --workdir=runs/digits --out=out/likely --metrics=bits
python -m launch.evaluate --workdir=runs/digits --judge=runs/digits_judge \
    --images=somebody/pictures --out=out/theirs

Prints a table and writes OUT/evaluation.json, with every setting that changes a number.
Stopped, the same command goes on: samples and bits that are there are not made again.
Distances are to be compared with each other, under one judge and one number of images;
published FIDs are of 50,000 images under Inception (README).
"""

import sys
from pathlib import Path

from absl import flags

from launch import cli

WORKDIR = flags.DEFINE_string("workdir", None, "The run to evaluate.")
OUT = flags.DEFINE_string("out", None, "Folder for evaluation.json, samples and bits.")
METRICS = flags.DEFINE_list(
    "metrics",
    [],
    "Of images frechet, kernel, precision (and recall), density (and coverage), "
    "inception, own_label, sliced; of tables columns, correlations, two_sample; of "
    "both bits. All that fit by default.",
)
JUDGE = flags.DEFINE_string(
    "judge", None, "The run of a classifier of the same data, or Inception's file."
)
IMAGES = flags.DEFINE_string("images", None, "Pictures to evaluate instead of samples.")
NUM = flags.DEFINE_integer("num", 10_000, "Samples.")
NUM_REAL = flags.DEFINE_integer("num_real", 0, "Real examples; 0 for all.")
SEED = flags.DEFINE_integer("seed", 0, "Of samples, noises and splits.")
WAYS = flags.DEFINE_list(
    "ways",
    ["continuous", "discrete"],
    "To the bits: continuous, discrete, flow (the slowest).",
)
NUM_BITS = flags.DEFINE_integer("num_bits", 1000, "Real examples whose bits are found.")
STEPS = flags.DEFINE_integer("steps", 100, "Of the bounds: network calls an example.")
CLEANEST = flags.DEFINE_float(
    "cleanest",
    0.0,
    "Sigma / alpha that the continuous bound and the flow begin at; 0 for a quarter of "
    "a pixel's level, of other data .01.",
)
FORCE = flags.DEFINE_bool("force", False, "Write into a folder that is not empty.")


def main() -> None:
    from jaxdiff.runs.evaluate import run as evaluate

    if OUT.value is None:
        cli.fail("--out is missing: where shall evaluation.json be written?")
    with cli.user_errors():
        request = evaluate.prepare(
            Path(WORKDIR.value),
            flags.FLAGS.config,
            metrics=METRICS.value,
            judge=Path(JUDGE.value) if JUDGE.value else None,
            images=Path(IMAGES.value) if IMAGES.value else None,
            num=NUM.value,
            num_real=NUM_REAL.value,
            seed=SEED.value,
            out=Path(OUT.value),
            force=FORCE.value,
            ways=WAYS.value,
            num_bits=NUM_BITS.value,
            steps=STEPS.value,
            cleanest=CLEANEST.value,
        )
        command = " ".join(["python -m launch.evaluate", *sys.argv[1:]])
        cli.print_rows(evaluate.run(request, command))


if __name__ == "__main__":
    cli.define_stored_config(sys.argv)
    cli.run(main)
