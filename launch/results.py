"""Keep what a config gave: configs/results/NAME.png and NAME.json, of a finished run.

python -m launch.results fashion_adm --workdir=runs/fashion_adm
python -m launch.results fashion_adm --workdir=runs/fashion_adm \
    --picture=out/pictures/grid.png --figures=out/compare/compare.json,out/bench.json

NAME.json holds the command that trains the run, its step, parameters, training time,
last line of metrics.jsonl and machine, and the content of the given JSON files. The
machine is the one that this runs on: run it where the run was trained.
"""

import importlib
from pathlib import Path

from absl import flags

from launch import cli

WORKDIR = flags.DEFINE_string("workdir", None, "The run, trained to its last step.")
PICTURE = flags.DEFINE_string(
    "picture", None, "The picture to keep; by default the run's newest samples."
)
FIGURES = flags.DEFINE_list("figures", [], "JSON files to keep, separated by commas.")
OUT = flags.DEFINE_string("out", None, "Another folder than configs/results.")
FORCE = flags.DEFINE_bool("force", False, "Overwrite what was kept before.")


def main(name: str) -> None:
    import jax

    from configs import base
    from jaxdiff import build
    from jaxdiff.runs import results, workdir

    if WORKDIR.value is None:
        cli.fail("--workdir is missing: the one that launch.train was given")
    folder, run = Path(base.__file__).parent, Path(WORKDIR.value)
    known = sorted({p.stem for p in folder.glob("*.py")} - {"__init__", "base"})
    if name not in known:
        cli.fail(f"there is no config {name!r}{build.hint(name, known)}")
    config = importlib.import_module(f"configs.{name}").get_config()
    with cli.user_errors():
        stored = workdir.load_config(run)
        cli.check_schema(run)
        # before the first use of a device: as many as it was trained on
        jax.config.update("jax_num_cpu_devices", stored.train.cpu_devices)
        results.write(
            name,
            config,
            run,
            picture=Path(PICTURE.value) if PICTURE.value else None,
            figures=[Path(path) for path in FIGURES.value],
            out=Path(OUT.value) if OUT.value else folder / "results",
            force=FORCE.value,
        )


if __name__ == "__main__":
    cli.run(main, word="config")
