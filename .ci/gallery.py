"""Keep what a config gave: configs/results/NAME.png and NAME.json, from a finished run.

python .ci/gallery.py fashion_adm --workdir=runs/fashion_adm
python .ci/gallery.py fashion_adm --workdir=runs/fashion_adm \
    --picture=out/pictures/grid.png --figures=out/compare/compare.json,out/bench.json

NAME.json holds the command that trains the run, its step, parameters, training time,
last line of metrics.jsonl and machine, and the content of the given JSON files. A run
does not store its machine: run this where it was trained.
"""

import argparse
import importlib
import io
import json
import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import jax
import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from jaxdiff.arrays import require
from jaxdiff.choices import hint
from jaxdiff.runs import workdir as files
from jaxdiff.runs.experiment import open_run
from jaxdiff.train.state import num_params

ROOT = Path(__file__).parents[1]

# Pixels across, tried in turn until the file is small enough for a repository.
WIDTHS, MAX_BYTES = (640, 512, 400, 320), 150_000
# Fields that name a place on one machine and change no number.
PLACES = ("data.data_dir",)


def main(argv: list[str]) -> None:
    args = parse(argv)
    if args.workdir is None:
        fail("--workdir is missing: the one that launch.train was given")
    sys.path.insert(0, str(ROOT))  # configs are in the clone, not in the package
    folder = ROOT / "configs"
    known = sorted({p.stem for p in folder.glob("*.py")} - {"__init__", "base"})
    if args.name not in known:
        fail(f"there is no config {args.name!r}{hint(args.name, known)}")
    config = importlib.import_module(f"configs.{args.name}").get_config()
    try:
        stored = files.load_config(args.workdir)
        # before the first use of a device: as many as it was trained on
        jax.config.update("jax_num_cpu_devices", stored.train.cpu_devices)
        write(
            args.name,
            config,
            args.workdir,
            picture=args.picture,
            figures=args.figures,
            out=args.out,
            force=args.force,
        )
    except (ValueError, OSError) as error:
        if os.environ.get("JAXDIFF_DEBUG"):
            raise
        fail(" ".join(str(error).split()))


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=".ci/gallery.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.error = fail
    parser.add_argument("name", help="The config: a file of configs/, without .py.")
    add = parser.add_argument
    add("--workdir", type=Path, help="The run, trained to its end.")
    add("--picture", type=Path, help="By default the run's newest samples.")
    add("--figures", type=paths, default=[], help="JSON files, joined by commas.")
    add("--out", type=Path, default=ROOT / "configs" / "results", help="The folder.")
    add("--force", action="store_true", help="Overwrite what was kept before.")
    return parser.parse_args(argv)


def paths(text: str) -> list[Path]:
    return [Path(path) for path in text.split(",")]


def fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def write(
    name: str,
    config: ConfigDict,
    workdir: Path,
    *,
    picture: Path | None,
    figures: list[Path],
    out: Path,
    force: bool,
) -> None:
    """Write OUT/NAME.png and OUT/NAME.json.

    Args:   name, config: of configs/NAME.py, as it is without overrides.
            workdir: of a run of it, trained to the end.
            picture: None for the newest of the run's own samples.
            figures: JSON files whose content is kept, by their stems.
    Errors: ValueError, FileNotFoundError, before anything is written.
    """
    paths = out / f"{name}.png", out / f"{name}.json"
    there = [str(path) for path in paths if path.exists()]
    require(force or not there, f"{', '.join(there)} exist; --force overwrites")
    stems = [path.stem for path in figures]
    require(len({*stems}) == len(stems), f"--figures need different names, got {stems}")
    contents = {path.stem: read_json(path) for path in figures}
    data, size = small_png(picture or newest_samples(workdir))
    result = {**describe(name, config, workdir), "figures": contents}
    out.mkdir(parents=True, exist_ok=True)
    paths[0].write_bytes(data)
    paths[1].write_text(json.dumps(result, indent=2) + "\n")
    wide, high = size
    print(f"{paths[0]}: {wide}x{high}, {len(data) / 1000:.0f} kB\n{paths[1]}")
    if len(data) > MAX_BYTES:
        print(
            f"warning: the picture is above {MAX_BYTES // 1000} kB at its smallest; "
            "give one of fewer images as --picture"
        )


def describe(name: str, config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """The run in figures; the machine is the one that this runs on.

    Errors: ValueError for a run that has not reached its last step.
    """
    stored, rows = files.load_config(workdir), files.read_metrics(workdir)
    run = open_run(workdir, stored)
    last = stored.train.num_steps
    require(
        run.step == last,
        f"{workdir} is at step {run.step} of {last}; train it to the end first",
    )
    ended = (workdir / files.METRICS).stat().st_mtime
    devices = jax.devices()
    return {
        "config": name,
        "command": command(name, config, workdir),
        "step": run.step,
        "parameters": num_params(run.params),
        "machine": {
            "device": devices[0].device_kind,
            "devices": len(devices),
            "cpu_cores": os.cpu_count(),
            "jax": jax.__version__,
            "python": platform.python_version(),
        },
        "training_seconds": training_seconds(rows, stored.train.batch_size),
        "last": rows[-1],
        "date": datetime.fromtimestamp(ended, UTC).date().isoformat(),
    }


def command(name: str, config: ConfigDict, workdir: Path) -> str:
    """The command that trains the run: the config's file, and what differs from it."""
    config = files.recall(workdir, config)
    changed = files.changes(config, files.load_config(workdir))
    words = [
        f"--config.{field}={value}"
        for field, (_, value) in changed.items()
        if field not in PLACES
    ]
    file = f"--config=configs/{name}.py"
    return shlex.join(
        ["python", "-m", "launch.train", file, f"--workdir={workdir}", *words]
    )


def training_seconds(rows: list[dict[str, Any]], batch_size: int) -> float | None:
    """Time in training steps, from metrics.jsonl: all examples at the median rate.

    This leaves out whatever is not training: compiling, pictures, checkpoints, a pause,
    another job for a while. None where no line has a rate: the first line has none if
    only the first call went before it.
    """
    rates = [row["examples_per_second"] for row in rows if row["examples_per_second"]]
    return rows[-1]["step"] * batch_size / float(np.median(rates)) if rates else None


def newest_samples(workdir: Path) -> Path:
    """The last samples/STEP.png of a run."""
    pictures = sorted((workdir / "samples").glob("*.png"))
    if not pictures:
        raise FileNotFoundError(
            f"{workdir}/samples has no picture; give one as --picture"
        )
    return pictures[-1]


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise FileNotFoundError(f"--figures: there is no file {path}") from None
    except ValueError as error:  # not JSON, or not even text
        raise ValueError(f"--figures: {path} is not valid JSON: {error}") from None


def small_png(path: Path) -> tuple[bytes, tuple[int, int]]:
    """A picture as a small PNG, and its (width, height).

    Reduced by Pillow's LANCZOS to the first of WIDTHS that keeps it below MAX_BYTES.
    Grey pictures and those of up to 256 colours are stored as such, without loss.
    Errors: FileNotFoundError, or ValueError for a file that is no picture.
    """
    if not path.is_file():
        raise FileNotFoundError(f"--picture: there is no file {path}")
    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"--picture: {path} cannot be used: {error}") from error
    for width in WIDTHS:
        size = image.size
        if image.width > width:
            size = width, max(1, round(image.height * width / image.width))
        reduced = image.resize(size, Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        lean(reduced).save(buffer, format="PNG", optimize=True)
        if buffer.tell() <= MAX_BYTES:
            break
    return buffer.getvalue(), size


def lean(image: Image.Image) -> Image.Image:
    """An RGB picture as grey or with a palette, where either holds all its colours."""
    pixels = np.asarray(image)
    if (pixels == pixels[..., :1]).all():
        return Image.fromarray(pixels[..., 0])
    colours, index = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    if len(colours) > 256:
        return image
    paletted = Image.fromarray(index.reshape(pixels.shape[:2]).astype(np.uint8))
    paletted.putpalette(colours.tobytes())
    return paletted


if __name__ == "__main__":
    main(sys.argv[1:])
