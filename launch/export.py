"""Write the sampler of a run into one file, which runs where jaxdiff is not installed.

python -m launch.export --workdir=runs/digits --out=digits.jaxdiff
python -m launch.export --workdir=runs/digits --out=fast.jaxdiff --platforms=cuda \
    --config.sampler.solver=dpmpp_2m --config.sampler.num_steps=12

The file holds the weights, the guidance, the solver and the grid. Seeds, conditions,
times, and numbers such as guidance and eta are its inputs. The README has the dozen
lines that run it, and the docstring of jaxdiff/runs/export/run.py its format.

JAX computes with reduced precision on GPUs and TPUs by default. With
JAX_DEFAULT_MATMUL_PRECISION=highest before the command, the file gives there what it
gives on a CPU, more slowly.
"""

import sys
from pathlib import Path

from absl import flags

from launch import cli

WORKDIR = flags.DEFINE_string("workdir", None, "The run whose sampler is exported.")
OUT = flags.DEFINE_string("out", None, "The file to write, such as digits.jaxdiff.")
PLATFORMS = flags.DEFINE_list(
    "platforms",
    ["cpu", "cuda", "tpu"],
    "Those that the file can run on; rocm is one more.",
)
FORCE = flags.DEFINE_bool("force", False, "Overwrite a file that exists.")


def main() -> None:
    from jaxdiff.runs.experiment import open_run
    from jaxdiff.runs.export import run as export

    if OUT.value is None:
        cli.fail("--out is missing: which file shall be written?")
    with cli.user_errors():
        request = export.prepare(
            open_run(Path(WORKDIR.value), flags.FLAGS.config, trust=cli.trusts()),
            out=Path(OUT.value),
            platforms=PLATFORMS.value,
            force=FORCE.value,
        )
    with cli.user_errors(working=True):
        export.run(request)


if __name__ == "__main__":
    cli.define_stored_config(sys.argv)
    cli.run(main)
