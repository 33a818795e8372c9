"""Measure speed: warm, median of several.

python -m launch.bench step   --config=configs/digits.py
python -m launch.bench sample --config=configs/digits.py
python -m launch.bench iris   --config=configs/iris.py --peer_python=PYTHON_WITH_TORCH

Beside another project's program, in turn (configs/bench.py lists the cases):

python -m launch.bench step   --config=bench --against=diffusers --peer_python=PYTHON

How a measurement grows with fields of the config, one at a time, drawn; every value is
measured in a process of its own, with its programs compiled anew:

python -m launch.bench step --config=bench --out=out/growth \
    --over train.batch_size=16,32,64 --over model.channels=16,32,64 \
    --over "data.shape=(16,16,1),(28,28,1)" --over train.cpu_devices=1,2

Without a config, every solver's order of convergence where the truth is in closed form:

python -m launch.bench solvers --out=out/solvers

Which distribution guidance samples, in closed form, beside p(x) p(y | x)^w:

python -m launch.bench guidance --out=out/guidance

How well a table's columns are inferred from one another, on rows left out:

python -m launch.bench inference --config=configs/iris.py --out=out/inference

Whether one network for all times is as good as several (--config.diffusion.experts=10),
each for a part of the times, with as many parameters in total:

python -m launch.bench networks --config=configs/iris.py --out=out/networks
"""

import json
import shutil
import sys
from dataclasses import is_dataclass
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from jaxdiff.files import write_text
from launch import cli, pages
from launch.printing import print_rows

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The experiment: a config file."
)
NUM_RUNS = flags.DEFINE_integer(
    "num_runs",
    None,
    "Runs after the warm-up (5); seeds of iris and networks (3).",
    lower_bound=1,
)
AGAINST = flags.DEFINE_string(
    "against",
    "",
    "step, forward, sample: also time another project's network of the same work, in "
    "turn: diffusers (for model.name=unet), torch (basic_unet) or keras "
    "(residual_unet). The programs are in tests/peers, so in a clone.",
)
PEER = flags.DEFINE_string(
    "peer_python", sys.executable, "iris, --against: a Python with the other project."
)
OVER = flags.DEFINE_multi_string(
    "over",
    [],
    "step, forward, sample: FIELD=V1,V2, values to measure at; repeatable.",
)
JSON = flags.DEFINE_string("json", None, "Also write the figures to this file.")
OUT = flags.DEFINE_string("out", None, "Folder for the picture, where there is one.")
FORCE = flags.DEFINE_bool("force", False, "Overwrite files that are there.")
pages.define()

KINDS = (
    *("step", "forward", "sample", "iris"),
    *("inference", "networks", "solvers", "guidance"),
)
# What another project's network is timed at.
BESIDE = KINDS[:3]
# Of made-up data in closed form: no config, and nothing that is repeated.
CLOSED_FORM = ("solvers", "guidance")
REPEATED = (*BESIDE, "iris", "networks")
# The names of pictures; that of inference is drawn on request, with --out.
PICTURES = {k: k for k in ("guidance", "networks", "inference")} | {"solvers": "orders"}
GROWTH = "growth"  # with --over


def main(kind: str) -> None:
    if kind not in KINDS:
        cli.fail(f"no measurement {kind!r}; there are: {', '.join(KINDS)}")
    check_work(kind)
    check_files(kind)
    with cli.user_errors():
        rows = measure(kind)
    print_rows(rows)
    with cli.user_errors():
        if JSON.value:
            text = json.dumps(rows, indent=2, default=plain) + "\n"
            write_text(Path(JSON.value), text)
    failed = [row for row in rows if row.get("problem")]
    if failed:
        why = [f"{row['field']}={row['value']}: {row['problem']}" for row in failed]
        cli.fail(f"{len(failed)} of {len(rows)} values failed: {'; '.join(why)}")


def check_work(kind: str) -> None:
    """Fail for flags of what is measured that are missing, or that change nothing."""
    if AGAINST.value and kind not in BESIDE:
        cli.fail(f"--against is for {', '.join(BESIDE)}, not for {kind}: leave it out")
    if flags.FLAGS["peer_python"].present and not (AGAINST.value or kind == "iris"):
        cli.fail("--peer_python changes nothing without --against: leave it out")
    if not shutil.which(PEER.value):
        cli.fail(
            f"--peer_python={PEER.value} is no program; give the Python that has the "
            "other project, such as envs/torch/bin/python"
        )
    if OVER.value and (AGAINST.value or kind not in BESIDE):
        why = "does not go with --against" if AGAINST.value else f"not for {kind}"
        cli.fail(f"--over is for {', '.join(BESIDE)}, and {why}: leave it out")
    if kind not in CLOSED_FORM and CONFIG.value is None:
        cli.fail("--config is missing: --config=configs/digits.py, for example")
    if kind in CLOSED_FORM and CONFIG.value is not None:
        cli.fail(f"--config: {kind} is measured in closed form: leave it out")
    if NUM_RUNS.value and kind not in REPEATED:
        cli.fail(f"--num_runs is for {', '.join(REPEATED)}, not for {kind}")


def check_files(kind: str) -> None:
    """Fail for a place of results that is missing, not needed, or taken."""
    from jaxdiff.plots.page import files_of

    name, optional = GROWTH if OVER.value else PICTURES.get(kind), kind == "inference"
    if name and not optional and OUT.value is None:
        cli.fail(f"--out is missing: where shall {name}.png be written?")
    if not name or (optional and OUT.value is None):
        given = [k for k in ("out", *pages.NAMES[:3]) if flags.FLAGS[k].present]
        need = "--out" if optional else "--over"
        if given:
            cli.fail(
                f"--{given[0]}: launch.bench {kind} draws nothing without {need}: "
                "leave it out"
            )
    picture = Path(OUT.value) / f"{name}.png" if OUT.value else None
    files = files_of(picture) if picture else []
    files += [picture.with_suffix(".json")] if picture and not optional else []
    if JSON.value:
        path = Path(JSON.value)
        if path in files:
            cli.fail(f"--json={path} is written anyway; give another name")
        if not next(folder for folder in path.parents if folder.exists()).is_dir():
            cli.fail(f"--json={path}: {path.parent} is no folder")
        files.append(path)
    there = [str(file) for file in files if file.exists()]
    if there and not FORCE.value:
        verb = "exist" if len(there) > 1 else "exists"
        cli.fail(f"{' and '.join(there)} {verb}; --force overwrites")
    folders = [str(file) for file in files if file.is_dir()]
    if folders:
        cli.fail(f"{folders[0]} is a folder; give the name of a file")
    if FORCE.value and not files:
        cli.fail("--force changes nothing where no file is written: leave it out")


def plain(value: object) -> object:
    """For JSON: a spread of times by its fields, a number of numpy as a float."""
    return vars(value) if is_dataclass(value) else float(value)  # type: ignore


def measure(kind: str) -> list[dict]:
    from jaxdiff.runs.bench import (
        growth,
        guidance,
        inference,
        iris,
        networks,
        solvers,
        speed,
    )

    config, out = CONFIG.value, OUT.value and Path(OUT.value)
    if kind == "solvers":
        return solvers.bench_solvers(out)
    if kind == "guidance":
        return guidance.bench_guidance(out)
    if kind == "inference":
        return inference.bench_inference(config, out)
    if kind == "networks":
        return networks.bench_networks(config, NUM_RUNS.value or 3, out)
    if kind == "iris":
        return iris.bench_iris(config, NUM_RUNS.value or 3, PEER.value)
    if OVER.value:
        many, given = NUM_RUNS.value or 5, [*cli.overrides()]
        return growth.bench_growth(kind, config, OVER.value, given, many, out)
    kinds = {"step": speed.bench_step, "forward": speed.bench_forward}
    bench = kinds.get(kind, speed.bench_sample)
    return [bench(config, NUM_RUNS.value or 5, AGAINST.value, PEER.value)]


if __name__ == "__main__":
    cli.run(main, word="measurement", cached=False)  # compiling is measured, too
