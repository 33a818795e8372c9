"""Help for whoever types a command: --help, near names, configs by name, and "~"."""

import ast
import difflib
import os
import sys
from itertools import pairwise
from os.path import expanduser
from pathlib import Path

from absl import app, flags

CONFIGS = Path(__file__).parents[1] / "configs"
HELP = {"--help", "-h", "-help", "-?", "--helpshort", "--helpfull"}

FIELDS = """
  --config.FIELD=VALUE: Any field of the config; jaxdiff/schema.py explains them.
    {blocks}
"""


def asks_for_help(argv: list[str]) -> bool:
    return bool(HELP & {*argv})


def print_help(argv: list[str]) -> None:
    """The flags of a launcher and the fields of its config; ends the program."""
    full, text = "--helpfull" in argv, ""
    if "config" in flags.FLAGS:
        from jaxdiff import schema

        blocks = {k: v for k, v in schema.FIELDS.items() if isinstance(v, dict)}
        lines = [f"{name}: {', '.join(fields)}" for name, fields in blocks.items()]
        text = FIELDS.format(blocks="\n    ".join(lines))
    try:
        app.usage(shorthelp=not full, writeto_stdout=True)
        print(text, end="", flush=True)
    except BrokenPipeError:  # `head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def find_config(name: str) -> str:
    """The path of a config, given as a path or as a name: digits, configs/digits, ...

    A variant (":smoke") stays at its end.
    Errors: FileNotFoundError with the nearest name.
    """
    path, colon, variant = name.partition(":")
    for folder in (Path(), CONFIGS, CONFIGS.parent):
        for end in ("", ".py"):
            file = folder / f"{path}{end}"
            if path and file.is_file():
                return f"{file}{colon}{variant}"
    ready = sorted(file.stem for file in CONFIGS.glob("*.py"))
    ready = [stem for stem in ready if stem not in ("__init__", "base")]
    near = difflib.get_close_matches(Path(path).stem, ready, 1)
    mean = f"; did you mean {near[0]}?" if near else ";"
    raise FileNotFoundError(
        f"--config: there is no file {path}{mean} the ready ones are in configs/: "
        f"{', '.join(ready)}"
    )


def write_config(argv: list[str], name: str, file: str) -> None:
    """Write the file of --config for its name, in place: absl reads sys.argv again.

    Other words of that name stay: launch.bench iris --config=iris.
    """
    flag = ("--config", "-config")
    for i, (before, word) in enumerate(pairwise(argv), 1):
        joined = word in [f"{one}={name}" for one in flag]
        if joined or (word == name and before in flag):
            argv[i] = word.removesuffix(name) + file


def near_field(flag: str, stored: bool) -> str:
    """ " Did you mean --config.BLOCK.FIELD?" for a field that was given as a flag.

    stored: of a stored run only the sampler can change.
    """
    from jaxdiff import schema

    names: dict[str, list[str]] = {}
    for field in schema.flat(schema.FIELDS):
        if not stored or field.startswith("sampler."):
            names.setdefault(field.rpartition(".")[2], []).append(field)
    short = flag.rpartition(".")[2]
    near = [short] if short in names else difflib.get_close_matches(short, names, 1)
    fields = " or ".join(f"--config.{f}" for name in near for f in names[name])
    return f". Did you mean {fields}?" if fields else ""


def expand_home(argv: list[str]) -> None:
    """Write the home folder for "~" in every flag: a shell does not do so after "="."""
    for i, word in enumerate(argv[1:], 1):
        flag, equals, value = word.partition("=")
        is_flag = word.startswith("-") and equals
        argv[i] = flag + "=" + expanduser(value) if is_flag else expanduser(word)


def has_variants(path: Path) -> bool:
    """Whether a config file's get_config takes a variant's name."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError:  # absl names the line
        return False
    return any(
        isinstance(node, ast.FunctionDef)
        and node.name == "get_config"
        and node.args.args
        for node in tree.body
    )
