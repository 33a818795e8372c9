"""What a config gave, from its finished run: one picture and one JSON, to be kept."""

import io
import json
import os
import platform
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from jaxdiff.arrays import require
from jaxdiff.runs import workdir as files
from jaxdiff.runs.experiment import load
from jaxdiff.train.state import num_params

# Pixels across, tried in turn until the file is small enough for a repository.
WIDTHS, MAX_BYTES = (640, 512, 400, 320), 150_000
# Where data lie on one machine, which changes no number.
PLACES = ("data.data_dir",)


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
    told = {path.stem: read_json(path) for path in figures}
    data, size = small_png(picture or newest_samples(workdir))
    result = {**describe(name, config, workdir), "figures": told}
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
    trained = load(workdir, stored)
    goal = stored.train.num_steps
    require(
        trained.step == goal,
        f"{workdir} is at step {trained.step} of {goal}; train it to the end first",
    )
    ended = (workdir / files.METRICS).stat().st_mtime
    devices = jax.devices()
    return {
        "config": name,
        "command": command(name, config, workdir),
        "step": trained.step,
        "parameters": num_params(trained.params),
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
    """The words that train the run: the config's file, and what differs from it."""
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

    So what is no training (compiling, pictures, checkpoints, a pause, another job for a
    while) is left out. None where no line has a rate, as the first has none where
    nothing but the first call went before it.
    """
    rates = [row["examples_per_second"] for row in rows if row["examples_per_second"]]
    return rows[-1]["step"] * batch_size / float(np.median(rates)) if rates else None


def newest_samples(workdir: Path) -> Path:
    """The last samples/STEP.png of a run."""
    found = sorted((workdir / "samples").glob("*.png"))
    if not found:
        raise FileNotFoundError(
            f"{workdir}/samples has no picture; give one as --picture"
        )
    return found[-1]


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise FileNotFoundError(f"--figures: there is no file {path}") from None
    except ValueError as error:  # not JSON, or not even text
        raise ValueError(f"--figures: {path} is not valid JSON: {error}") from None


def small_png(path: Path) -> tuple[bytes, tuple[int, int]]:
    """A picture as a small PNG, and its (width, height).

    Reduced by Pillow's LANCZOS to the first of WIDTHS that keeps it below MAX_BYTES;
    grey or up to 256 colours are stored as such, which loses nothing.
    Errors: FileNotFoundError, or ValueError for what is no picture.
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
    """An RGB picture as grey or with a palette, where that has every colour of it."""
    pixels = np.asarray(image)
    if (pixels == pixels[..., :1]).all():
        return Image.fromarray(pixels[..., 0])
    colours, index = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    if len(colours) > 256:
        return image
    paletted = Image.fromarray(index.reshape(pixels.shape[:2]).astype(np.uint8))
    paletted.putpalette(colours.tobytes())
    return paletted
