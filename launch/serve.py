"""A page in the browser to play with a trained run: seeds, classes, guidance, steps.

python -m launch.serve --workdir=runs/digits
python -m launch.serve --workdir=runs/iris --port=8001 --config.sampler.solver=heun

The page is served to this machine alone. It draws samples and the way from noise to
them; the fields that it begins with are those of the config. GET /sample?seed=7&label=3
answers programs in JSON.
"""

import sys
from pathlib import Path

from absl import flags

from launch import cli

WORKDIR = flags.DEFINE_string("workdir", None, "The run to sample from.")
PORT = flags.DEFINE_integer(
    "port",
    8000,
    "Of 127.0.0.1; 0 takes any free one.",
    lower_bound=0,
    upper_bound=65535,
)


def main() -> None:
    from jaxdiff.runs.experiment import open_run

    try:
        from jaxdiff.runs.serve import app
    except ModuleNotFoundError as error:
        name = str(error.name).partition(".")[0]
        cli.fail(f"launch.serve needs {name}: pip install 'jaxdiff[serve]'")
    with cli.user_errors():
        listener = app.bind(PORT.value)
        run = open_run(Path(WORKDIR.value), flags.FLAGS.config, trust=cli.trusts())
        page = app.make_app(run)
    host, port = listener.getsockname()
    print(f"{WORKDIR.value} is at http://{host}:{port}; Ctrl-C ends it", flush=True)
    app.serve(page, listener)


if __name__ == "__main__":
    cli.define_stored_config(sys.argv)
    cli.run(main, varied=lambda: ["guidance"])
