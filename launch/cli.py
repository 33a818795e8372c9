"""What the launchers share: a user's mistake is one line and exit status 2."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags


@contextlib.contextmanager
def user_errors():
    """Turn what the checks raise before any work into one line on standard error."""
    try:
        yield
    except (ValueError, OSError, FloatingPointError) as error:
        if os.environ.get("JAXDIFF_DEBUG"):
            raise
        fail(" ".join(str(error).split()))


@contextlib.contextmanager
def flag_errors():
    """The same for flags, overrides and config files, which raise what they like."""
    try:
        yield
    except Exception as error:  # a config file is a program
        if os.environ.get("JAXDIFF_DEBUG"):
            raise
        lines = str(error.args[0] if error.args else error).strip().splitlines()
        if isinstance(error, KeyError | AttributeError):
            lines = ["--config has no field", *lines]
        elif isinstance(error, SyntaxError):
            lines = [f"--config: {error}"]
        elif "Traceback" in str(error):
            lines = ["--config:", lines[-1]]
        fail(" ".join(lines))


def fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def define_stored_config(argv: list[str]) -> None:
    """Let --config.… override the config stored in --workdir; before parsing."""
    from jaxdiff.runs import workdir

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--workdir")
    given, _ = parser.parse_known_args(argv[1:])
    if given.workdir is None:
        if not {"--help", "--helpfull", "--helpshort", "-h"} & {*argv}:
            fail("--workdir is missing: the one that launch.train was given")
        return
    with user_errors():
        config = workdir.load_config(Path(given.workdir))
        check_schema(Path(given.workdir))
    with flag_errors():
        config_flags.DEFINE_config_dict("config", config)
    flags.DEFINE_float(
        "ema", None, "Relative width of the average: short for --config.sampler.ema."
    )


def check_schema(folder: Path) -> None:
    """ValueError for a run that another version of the schema has written."""
    from configs import base
    from jaxdiff.runs import workdir

    workdir.check_schema(folder, workdir.load_config(folder), base.get_config())


def check_named_runs(config: ConfigDict | None) -> None:
    """The same of every run that flags or fields name, beside --workdir's own."""
    named = [
        flags.FLAGS[name].value
        for name in ("judge", "beside", "data")
        if name in flags.FLAGS
    ]
    if config is not None:
        s, d = config.sampler, config.data
        named += [s.base, s.weak, s.classifier, config.train.judge]
        named += [d.path] if d.name == "latents" else []
    for folder in (Path(name) for name in named if name):
        if (folder / "config.json").is_file():  # others are spoken of elsewhere
            check_schema(folder)


def run(main: Callable[..., None], word: str = "", many: bool = False) -> None:
    """Parse the flags, quietly, and run main.

    word: what its argument is, where it takes one.  many: whether it takes more.
    """
    logging.set_verbosity(logging.WARNING)  # orbax tells of every file at INFO
    logging.use_absl_handler()

    def start(argv):
        words = argv[1:]
        if word and not words:
            fail(f"which {word}? Give it before the flags; --help lists them")
        if len(words) > bool(word) and not many:
            fail(f"{words[-1]!r} is not a flag; flags look like --config=configs/x.py")
        import jax

        config = flags.FLAGS["config"].value if "config" in flags.FLAGS else None
        if "ema" in flags.FLAGS and flags.FLAGS["ema"].value is not None:
            config.sampler.ema = flags.FLAGS["ema"].value
        if config is not None:
            # before the first use of a device; GPUs and TPUs are as many as there are
            devices = config.train.cpu_devices
            if devices < 1:
                fail(f"train.cpu_devices must be at least 1, got {devices}")
            jax.config.update("jax_num_cpu_devices", devices)
        with user_errors():
            check_named_runs(config)
        main(*words)

    app.run(start, flags_parser=_parse)


def print_rows(rows: list[dict]) -> None:
    """One row as a list of names and figures, several as a table."""
    if len(rows) == 1:
        width = max(map(len, rows[0]))
        for name, value in rows[0].items():
            print(f"{name:<{width}}  {_text(value)}")
        return
    names = list(rows[0])
    cells = [names] + [[_text(row.get(n, "")) for n in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        print("  ".join(f"{c:>{w}}" for c, w in zip(row, widths, strict=True)))


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def _parse(argv):
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config")
    path, _, _ = (parser.parse_known_args(argv[1:])[0].config or "").partition(":")
    if path and not Path(path).is_file():
        fail(f"--config: there is no file {path}; the ready ones are in configs/")
    with flag_errors():
        return flags.FLAGS(argv, known_only=False)
