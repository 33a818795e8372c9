"""A run in numbers: its samples against its data, and the likelihood of the data.

python -m launch.evaluate --workdir=runs/digits --out=out/eval \
    --features=runs/digits_features
python -m launch.evaluate --workdir=runs/digits --out=out/few --metrics=frechet \
    --features=runs/digits_features --num=2000 --config.sampler.num_steps=10
python -m launch.evaluate --workdir=runs/iris --out=out/iris    # a table has columns
python -m launch.evaluate --workdir=runs/digits --out=out/likely --metrics=bpd
python -m launch.evaluate --workdir=runs/digits --out=out/theirs \
    --features=runs/digits_features --images=somebody/pictures

Prints a table and writes OUT/evaluation.json, with every setting that changes a number.
If it is stopped, the same command resumes: samples and bits per dimension (bpd) that
are there are not made again. Compare distances only in the features of one classifier
and of one number of images; published FIDs are of 50,000 images and Inception (README).
KID is the unbiased squared MMD with a cubic kernel.
"""

import shlex
import sys
from pathlib import Path

from absl import flags

from launch import cli, pages
from launch.printing import print_rows

WORKDIR = flags.DEFINE_string("workdir", None, "The run to evaluate.")
OUT = flags.DEFINE_string("out", None, "Folder for evaluation.json, samples and bpd.")
METRICS = flags.DEFINE_list(
    "metrics",
    [],
    "Of images frechet, kid, precision (and recall), density (and coverage), "
    "inception, label_accuracy, sliced; "
    "of tables columns, correlations, two_sample; "
    "of both bpd. All that fit by default.",
)
FEATURES = flags.DEFINE_string(
    "features",
    None,
    "The run of a classifier of the same data, or the file of Inception's weights.",
)
IMAGES = flags.DEFINE_string("images", None, "Pictures to evaluate instead of samples.")
NUM = flags.DEFINE_integer("num", 10_000, "Samples.")
NUM_REAL = flags.DEFINE_integer("num_real", 0, "Real examples; 0 for all.")
REAL = flags.DEFINE_enum(
    "real",
    "held_out",
    ["held_out", "training"],
    "Only for runs with data.holdout: the real examples for comparison and bpd. Other "
    "runs always use those that they are trained on.",
)
SEED = cli.define_seed("Of samples, noises and splits.")
ESTIMATES = flags.DEFINE_list(
    "estimates",
    ["continuous", "discrete"],
    "Of bpd: continuous and discrete (bounds), flow (the slowest).",
)
NUM_BPD = flags.DEFINE_integer("num_bpd", 1000, "Real examples whose bpd is estimated.")
STEPS = flags.DEFINE_integer("steps", 100, "NFE of a bound for one example.")
CLEANEST = flags.DEFINE_float(
    "cleanest",
    0.0,
    "Sigma / alpha at which the continuous bound and the flow begin; 0 for a quarter "
    "of a pixel's level, of other data .01.",
)
FORCE = flags.DEFINE_bool("force", False, "Write into a folder that is not empty.")
pages.define()

# Flags that only the metric bpd takes.
OF_BPD = ("estimates", "num_bpd", "steps", "cleanest")
SAMPLED = "metrics of the run's samples, and none of them is requested"


def main() -> None:
    from jaxdiff.metrics.titles import title
    from jaxdiff.runs.evaluate import run as evaluate
    from jaxdiff.runs.experiment import open_run

    if OUT.value is None:
        cli.fail("--out is missing: where shall evaluation.json be written?")
    with cli.user_errors():
        request = evaluate.prepare(
            open_run(Path(WORKDIR.value), flags.FLAGS.config, trust=cli.trusts()),
            metrics=METRICS.value,
            features=Path(FEATURES.value) if FEATURES.value else None,
            images=Path(IMAGES.value) if IMAGES.value else None,
            num=NUM.value,
            num_real=NUM_REAL.value,
            seed=SEED.value,
            out=Path(OUT.value),
            force=FORCE.value,
            real=REAL.value,
            num_bpd=NUM_BPD.value,
            estimates=ESTIMATES.value,
            steps=STEPS.value,
            cleanest=CLEANEST.value,
        )
    for reason, names in unused(request).items():
        for name in names:
            if flags.FLAGS[name].present:
                cli.fail(f"--{name} is for {reason}. Leave it out")
    for field in cli.overrides() if not request.sampling else ():
        if field.startswith("sampler.") and field != "sampler.ema":
            cli.fail(f"--config.{field} is for {SAMPLED}. Leave it out")
    command = shlex.join(["python", "-m", "launch.evaluate", *sys.argv[1:]])
    with cli.user_errors(working=True):
        rows = evaluate.run(request, command)
    print_rows([row | {"better": title(row["metric"]).better} for row in rows])


def unused(request: "evaluate.Request") -> dict[str, tuple[str, ...]]:
    """Flags that the request does not depend on, by what they are for."""
    chosen, estimates, names = ",".join(request.metrics), {*ESTIMATES.value}, {}
    if not request.run.config.data.holdout:
        names["a run that holds examples out (data.holdout)"] = ("real",)
    if not request.likelihood:
        names[f"the metric bpd, and not for {chosen}"] = OF_BPD
    elif estimates == {"flow"}:
        names["the bounds of bpd, continuous and discrete, not for flow"] = ("steps",)
    elif estimates == {"discrete"}:
        names["the estimates continuous and flow, not for discrete"] = ("cleanest",)
    if not request.sampling:
        names[SAMPLED] = ("num",) if request.likelihood else ("num", "ema")
    if not request.compares:
        names[f"metrics of samples or images, and not for {chosen}"] = ("num_real",)
    return names


if __name__ == "__main__":
    cli.define_stored_config(sys.argv)
    cli.run(main)
