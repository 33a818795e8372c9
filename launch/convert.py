"""Make a run of another project's weights, or write a run as another project's.

The formats are the files of jaxdiff/interop.

python -m launch.convert --from=64x64_diffusion.safetensors --to=runs/adm64
python -m launch.convert --from=my.safetensors --to=runs/my --config=configs/my.py
python -m launch.convert --from=my.safetensors --to=runs/my --config=configs/my.py \
    --format='openai(order="new")'

python -m launch.convert --from=google-ddpm-cifar10-32 --to=runs/cifar10
python -m launch.convert --from=runs/cifar10 --to=FOLDER --format=diffusers
python -m launch.convert --from=runs/cifar10 --to=FOLDER \
    --format='diffusers(licence="apache-2.0")'

The published networks need no --config. For others it states what the file does not
determine, such as the noise and the size of the images, and must fit the file
otherwise. The run is at step 0, and launch.train with that --config resumes it. Pickles
are not read: the error gives the line that converts one where torch is installed.
Folders of diffusers state everything; a run is written as one with a model card.
"""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from launch import cli

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The experiment: a config file."
)
FROM = flags.DEFINE_string("from", None, "A safetensors file, or a folder of a model.")
TO = flags.DEFINE_string("to", None, "The workdir of the run, or a folder; new.")
FORMAT = flags.DEFINE_string(
    "format", "", "A file of jaxdiff/interop, with options; recognised if left out."
)


def main() -> None:
    for flag, what in ((FROM, "which weights?"), (TO, "where shall the run be?")):
        if flag.value is None:
            cli.fail(f"--{flag.name} is missing: {what}")
    from jaxdiff.runs.convert.export import export
    from jaxdiff.runs.convert.run import convert
    from jaxdiff.runs.experiment import open_run
    from jaxdiff.runs.workdir import CHECKPOINTS, check_new, holds_run, load_config
    from jaxdiff.train.state import num_params

    path, workdir = Path(FROM.value), Path(TO.value)
    config = CONFIG.value
    # other projects call a file config.json too
    if holds_run(path) and (path / CHECKPOINTS).is_dir():
        if config is not None:
            cli.fail(f"--config is not for the run {path}, which has one: leave it out")
        with cli.user_errors():
            check_new(workdir, "--to")
            export(open_run(path, trust=cli.trusts()), workdir, FORMAT.value)
        print(f"{workdir}: {path} as a model of {FORMAT.value}")
        return
    with cli.user_errors():
        convert(path, workdir, config, FORMAT.value, trust=cli.trusts())
        # as it is on disk; the code that --config names is trusted
        stored = load_config(workdir, cli.trusts() or config or False)
        run = open_run(workdir, stored, trust=cli.trusts())
    kind, shape = run.task.kind, "x".join(map(str, run.source.shape))
    classes = f", {run.source.num_classes} classes" * (run.source.num_classes > 0)
    article = "an" if kind[0] in "aeiou" else "a"
    count = f"{num_params(run.params):,} parameters"
    print(f"{workdir}: {article} {kind} of images {shape}{classes}; {count}")


if __name__ == "__main__":
    cli.define_trust()
    cli.run(main)
