"""What the launchers share: a user's mistake is one line and exit status 2."""

import argparse
import contextlib
import dis
import functools
import logging as py_logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from os.path import expanduser
from pathlib import Path
from typing import TYPE_CHECKING

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from launch import hints, pages
from launch.printing import printable

if TYPE_CHECKING:
    from jaxdiff.data.source import Source

flags.disclaim_key_flags()  # what is defined here is a flag of the launcher: --help


@contextlib.contextmanager
def user_errors(*, working: bool = False):
    """Turn the errors of the checks into one line on standard error.

    working: no longer checking, but at work: a ValueError then is a user's mistake only
             where a check of jaxdiff's raises it. Any other is a bug, and shows where.
    """
    try:
        yield
    except (ValueError, OSError, FloatingPointError, MemoryError) as error:
        is_bug = working and isinstance(error, ValueError) and not is_check(error)
        if is_bug or os.environ.get("JAXDIFF_DEBUG"):
            raise
        fail(" ".join(str(error).split()) or type(error).__name__)


def is_check(error: BaseException) -> bool:
    """Whether a `raise` in jaxdiff made the error, and not what jaxdiff calls."""
    last = error.__traceback__
    while last and last.tb_next:
        last = last.tb_next
    if not last or not last.tb_frame.f_globals["__name__"].startswith("jaxdiff."):
        return False
    return last.tb_frame.f_code.co_code[last.tb_lasti] == dis.opmap["RAISE_VARARGS"]


@contextlib.contextmanager
def flag_errors():
    """The same for flags, overrides and config files, which raise what they like."""
    try:
        yield
    except Exception as error:  # a config file is a program
        if os.environ.get("JAXDIFF_DEBUG"):
            raise
        text = _innermost(error)
        if isinstance(error, KeyError | AttributeError):
            text = f"--config has no field {text}"
        elif isinstance(error, SyntaxError):
            text = f"--config: {error}"
        elif isinstance(error, flags.UnrecognizedFlagError):
            text += hints.near_field(error.flagname, "ema" in flags.FLAGS)
        elif "Traceback" in text:
            text = f"--config: {text.strip().splitlines()[-1]}"
        lines = text.strip().splitlines()
        fail(" ".join(lines))


def _innermost(error: BaseException) -> str:
    """The text of an error; ml_collections makes an error of another, and quotes it."""
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    return str(error.args[0] if error.args else error)


def fail(message: str) -> None:
    print(f"error: {printable(message)}", file=sys.stderr)
    sys.exit(2)


def define_seed(text: str) -> flags.FlagHolder[int]:
    """--seed, of 32 bits: of a larger one JAX takes the last 32."""
    return flags.DEFINE_integer("seed", 0, text, lower_bound=0, upper_bound=2**32 - 1)


def define_label(text: str) -> flags.FlagHolder[str | None]:
    """--label, a class by its name or its number."""
    return flags.DEFINE_string("label", None, f"{text} A class's name, or its number.")


def define_trust() -> None:
    text = "Import the code outside jaxdiff that stored runs name, which then runs."
    flags.DEFINE_bool("trust", False, text)


def trusts() -> bool:
    return flags.FLAGS["trust"].value


def chosen_class(label: str | None, source: "Source") -> int | None:
    """The number of the class that --label names, which is printed with its name."""
    if label is None:
        return None
    number = source.class_of(label)
    print(f"class {number}: {printable(source.class_names[number])}")
    return number


def define_stored_config(argv: list[str]) -> None:
    """Let --config.… override the config stored in --workdir; before parsing."""
    _end_on_signals()
    hints.expand_home(argv)
    from jaxdiff import schema
    from jaxdiff.runs import workdir

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--workdir")
    given, _ = parser.parse_known_args(argv[1:])
    define_trust()
    helps = hints.asks_for_help(argv)
    if given.workdir is None and not helps:
        fail("--workdir is missing: the one that launch.train was given")
    with user_errors():
        config = (
            schema.get_config()
            if helps
            else workdir.load_config(Path(given.workdir), "--trust" in argv)
        )
    with flag_errors():
        config_flags.DEFINE_config_dict("config", config)
    flags.DEFINE_float(
        "ema", None, "Relative width of the average: short for --config.sampler.ema."
    )


def run(
    main: Callable[..., None],
    word: str = "",
    many: bool = False,
    varied: Callable[[], Sequence[str]] = list,
    cached: bool = True,
) -> None:
    """Parse the flags, quietly, check the config that they make, and run main.

    word: what its argument is, where it takes one.  many: whether it takes more.
    varied: fields of config.sampler that the command itself sets to other values.
    cached: whether programs compiled by earlier commands are used.
    """
    _one_line_each()

    def start(argv):
        words = argv[1:]
        if word and not words:
            fail(f"which {word}? Give it before the flags; --help lists them")
        if len(words) > bool(word) and not many:
            fail(f"{words[-1]!r} is not a flag; flags look like --config=configs/x.py")
        for stream in (sys.stdout, sys.stderr):  # names in a locale without letters
            with contextlib.suppress(AttributeError):
                stream.reconfigure(errors="backslashreplace")
        config = flags.FLAGS["config"].value if "config" in flags.FLAGS else None
        if "ema" in flags.FLAGS and flags.FLAGS["ema"].value is not None:
            config.sampler.ema = flags.FLAGS["ema"].value
        if config is not None:
            jax = import_module("jax")  # slow, and not all commands need it
            from jaxdiff import ranges, schema

            texts = {k: v for k, v in schema.flat(config).items() if str(v)[:1] == "~"}
            config.update_from_flattened_dict(
                {field: expanduser(path) for field, path in texts.items()}
            )
            with user_errors():
                ranges.check(config)
                # before the first use of a device; GPUs are as many as there are
                jax.config.update("jax_num_cpu_devices", config.train.cpu_devices)
                _check_config(config, varied())
        with user_errors():
            pages.use()
            if cached:
                import_module("launch.cache").use()  # it imports JAX
        try:
            main(*words)
        except KeyboardInterrupt as stop:  # of the training loop, which has saved
            sys.exit(128 + getattr(stop, "signum", signal.SIGINT))

    _end_on_signals()
    app.run(start, flags_parser=_parse)


def _one_line_each() -> None:
    """Warnings are one line, as errors are.

    Orbax also raises what it logs. Where one of its reads fails, the others still run,
    and report "Event loop is closed" when they end.
    """
    logging.set_verbosity(logging.WARNING)
    logging.use_absl_handler()
    if os.environ.get("JAXDIFF_DEBUG"):
        return
    log, show = logging.get_absl_logger(), sys.unraisablehook
    log.addFilter(lambda record: "orbax" not in record.pathname)
    line = py_logging.Formatter("warning: %(message)s")
    logging.get_absl_handler().setFormatter(line)
    closed = "Event loop is closed"
    sys.unraisablehook = lambda e: None if str(e.exc_value) == closed else show(e)


@functools.cache
def _end_on_signals() -> None:
    """A signal ends the command with one line, also while Python waits for XLA: a
    thread reads its number from a pipe at once. The training loop has its own handlers.
    """
    from jaxdiff.stopping import SIGNALS

    receive, send = os.pipe()
    os.set_blocking(send, False)
    for signum in SIGNALS:
        if signal.getsignal(signum) is not signal.SIG_IGN:  # as under nohup
            signal.signal(signum, lambda *_: None)
    signal.set_wakeup_fd(send, warn_on_full_buffer=False)

    def wait():
        signum = os.read(receive, 1)[0]
        name = signal.Signals(signum).name
        message = f"stopped by {name}; files that are complete stay as they are"
        print(message, file=sys.stderr, flush=True)
        os._exit(128 + signum)

    threading.Thread(target=wait, daemon=True).start()


def overrides() -> dict[str, object]:
    """{field: value} of the flags --config.FIELD=VALUE."""
    return config_flags.get_override_values(flags.FLAGS["config"])


def _parse(argv):
    hints.expand_home(argv)
    if hints.asks_for_help(argv):
        hints.print_help(argv)
    name = _flag(argv, "--config")
    if name is not None:
        with user_errors():
            file = hints.find_config(name)
        path, _, variant = file.partition(":")
        made_up = _flag(argv, "--config.data.name") == "synthetic"
        if made_up and not variant and hints.has_variants(Path(path)):
            file = f"{path}:synthetic"
            _note(f"the data are made up, in the shape of the real ones ({file})")
        hints.write_config(argv, name, file)
    with flag_errors():
        return flags.FLAGS(argv, known_only=False)


def _flag(argv: list[str], name: str) -> str | None:
    """The value of a flag before flags are parsed."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(name, dest="value")
    return parser.parse_known_args(argv[1:])[0].value


def _check_config(config: ConfigDict, varied: Sequence[str]) -> None:
    """ValueError for a field set by a flag that nothing takes, or that a trained run
    cannot change; what a file sets gives way to the choices that flags make.
    """
    from jaxdiff import fields
    from jaxdiff.runs import workdir

    if _flag(sys.argv, "--config"):
        given = overrides()
        config.auto = tuple(field for field in config.auto if field not in given)
        chosen = [f"{k}={given[k]}" for k in fields.CHOICES if k in given]
        reset = sorted(fields.settle(config, given)) if chosen else []
        fields.check(config)
        if reset:
            _note(
                f"with {', '.join(chosen)} nothing takes the config's "
                f"{', '.join(reset)}: back at the default"
            )
        return
    folder = Path(flags.FLAGS["workdir"].value)
    workdir.check_unchanged(folder, config)
    for name in varied:
        config = fields.varied(config, f"sampler.{name}")
    unused = fields.check(config, stored=workdir.load_config(folder, config))
    if unused:
        _note(f"nothing takes {', '.join(unused)} of {folder / workdir.CONFIG}")


def _note(text: str) -> None:
    print(f"note: {printable(text)}", file=sys.stderr)
