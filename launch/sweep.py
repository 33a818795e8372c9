"""Train an experiment many times with other fields, and compare the results.

python -m launch.sweep --config=configs/digits.py --out=runs/rates \
    --over train.lr=1e-3,3e-4 --over seed=0,1,2
python -m launch.sweep --config=configs/digits.py --out=runs/ablation \
    --change diffusion.schedule=linear_mix --change model.num_blocks=2 \
    --change "small: model.channels=16 model.multipliers=(1,1)" \
    --features=runs/digits_features --figure=frechet,kid
python -m launch.sweep --config=configs/digits.py --out=runs/guided \
    --over sampler.guidance=1,2,4 --features=runs/digits_features --figure=frechet

--over is every combination of the values. --change is one change at a time, of one
field or several, beside the unchanged base. --config.FIELD applies to all. Everything
is built and checked before the first run. Runs are trained in turn, each in a process
of its own; what differs in config.sampler alone shares one run. With --metrics or
--features each case is also sampled and evaluated. If it is stopped or killed, the same
command resumes; a command that adds values or changes adds runs.

OUT/sweep.json holds the results, table.md the table, sweep.png the figures (with error
bars over seeds), losses.png all losses. --slurm writes OUT/sweep.sbatch instead.
"""

import re
import shlex
import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from launch import cli, pages
from launch.printing import print_rows

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The experiment: a config file."
)
OUT = flags.DEFINE_string("out", None, "Folder for the runs, the table and pictures.")
OVER = flags.DEFINE_multi_string(
    "over",
    [],
    "FIELD=V1,V2: values to combine; repeatable. A number for train.lr is its peak. "
    "If seed is varied, the table has means over seeds and their standard errors.",
)
CHANGE = flags.DEFINE_multi_string(
    "change", [], '"FIELD=VALUE ..." or "NAME: FIELD=VALUE ...", alone; repeatable.'
)
METRICS = flags.DEFINE_list("metrics", [], "Metrics of launch.evaluate, for each case.")
FEATURES = flags.DEFINE_string(
    "features", None, "As for launch.evaluate; gives frechet and kid by default."
)
NUM = flags.DEFINE_integer("num", 1000, "Samples to evaluate.")
NUM_REAL = flags.DEFINE_integer("num_real", 0, "Real examples; 0 for all.")
FIGURE = flags.DEFINE_list("figure", ["loss"], "Figures that sweep.png shows.")
ONLY = flags.DEFINE_integer("only", None, "Train and evaluate the run of this number.")
SLURM = flags.DEFINE_bool("slurm", False, "Write a script of a SLURM array instead.")
COLLECT = flags.DEFINE_bool(
    "collect", False, "Make table and pictures of what is there."
)
pages.define()

MODES = ("only", "slurm", "collect")


def main() -> None:
    if CONFIG.value is None:
        cli.fail("--config is missing: --config=configs/digits.py, for example")
    if OUT.value is None:
        cli.fail("--out is missing: where shall the runs be written?")
    values = {name: flags.FLAGS[name].value for name in MODES}
    modes = [k for k, v in values.items() if v is not None and v is not False]
    if len(modes) > 1:
        cli.fail(f"--{' and --'.join(modes)} do not go together: choose one")
    from jaxdiff.runs.sweep import results
    from jaxdiff.runs.sweep import run as sweep
    from jaxdiff.runs.sweep.request import prepare

    with cli.user_errors():
        request = prepare(
            CONFIG.value,
            out=Path(OUT.value),
            over=OVER.value,
            change=CHANGE.value,
            given=[*cli.overrides()],
            evaluation=evaluation(),
            figures=FIGURE.value,
            trust=cli.trusts(),
            command=command(sys.argv[1:]),
            part=ONLY.value is not None,
        )
    with cli.user_errors(working=True):
        if ONLY.value is not None:
            sweep.run_one(request, ONLY.value)
            return
        if SLURM.value:
            print(f"sbatch {shlex.quote(str(sweep.write_script(request)))}")
            return
        rows = sweep.gather(request) if COLLECT.value else sweep.run(request)
    varied = [*request.cases[0].varied]
    print_rows(results.text_rows(results.means(rows, varied), varied))
    print(f"written: {request.out}")
    failed = [f"{row['case']}: {row['problem']}" for row in rows if row["problem"]]
    if failed:
        cli.fail(f"{len(failed)} of {len(rows)} cases failed: {'; '.join(failed)}")


def evaluation() -> "work.Evaluation | None":
    """What the flags request; None without --metrics and --features."""
    from jaxdiff.runs.sweep import work

    if not (METRICS.value or FEATURES.value):
        for name in ("num", "num_real"):
            if flags.FLAGS[name].present:
                cli.fail(f"--{name} needs --metrics or --features. Leave it out")
        return None
    metrics = METRICS.value or ["frechet", "kid"]
    return work.Evaluation((*metrics,), FEATURES.value or "", NUM.value, NUM_REAL.value)


def command(words: list[str]) -> str:
    """What was typed, without the flags that a task or the collection adds."""
    kept, mode = [], re.compile(rf"--?(no)?({'|'.join(MODES)})(=.*)?", re.DOTALL)
    before = ""
    for word in words:
        number = before in ("--only", "-only")  # in a word of its own
        if not number and not mode.fullmatch(word):
            kept.append(word)
        before = word
    return shlex.join(["python", "-m", "launch.sweep", *kept])


if __name__ == "__main__":
    cli.define_trust()
    cli.run(main)
