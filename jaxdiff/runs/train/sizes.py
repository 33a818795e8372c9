"""Sizes that a run chooses for its data and its machine: the fields of config.auto.

Whatever values these fields have in the config, a new run sets them; it stores what was
chosen, and resumes with it on any machine and with other data. launch.train takes a
field out of config.auto that a flag sets.
"""

from collections.abc import Callable
from math import ceil, gcd
from typing import Any

import jax
from ml_collections import ConfigDict

from jaxdiff import ranges
from jaxdiff.arrays import require
from jaxdiff.choices import hint
from jaxdiff.data import folder, listing
from jaxdiff.data.source import Source
from jaxdiff.notes import note

# Sides in pixels; the largest one is for what computes faster than a CPU.
PIXELS, LARGEST_ON_CPU = (16, 32, 64), 32
# Channels of the levels, in multiples of the first; maps are no smaller than LOWEST.
MULTIPLIERS, LOWEST = (1, 2, 2, 3), 8
# Channels, examples in a step, and fewest and most steps, where PASSES over the data
# would take fewer or more: of a CPU, and of anything else.
CPU = {"channels": 32, "batch": 32, "steps": (1000, 1000)}
FASTER = {"channels": 64, "batch": 64, "steps": (5000, 50_000)}
PASSES = 500
# Samples in a preview, if the classes do not demand more or fewer.
PREVIEW = 36


def choose(config: ConfigDict, read: Callable[[ConfigDict], Source]) -> ConfigDict:
    """The config with every field of config.auto chosen, and printed.

    read: gives the data of a config. Of a folder of pictures only the names of the
          files are read, and the sizes of some.
    Errors: ValueError for a field that no rule chooses; as `read`, and listing.find.
    """
    ranges.check(config, "auto", "data")
    names, known = config.auto, rule(1, 8, 0)
    for name in names:
        why = f"auto: no rule chooses {name!r}{hint(name, [*known])}"
        require(name in known, why)
    if not names:
        return config
    config, faster = config.copy_and_resolve_references(), _faster()
    config.auto = ()
    if "data.size" in names:
        config.data.size = _size(config.data, faster)
    num, side, classes = _counted(config, read)
    chosen = rule(num, side, classes, faster, jax.device_count())
    chosen["data.size"] = config.data.size
    config.update_from_flattened_dict({name: chosen[name] for name in names})
    text = ", ".join(f"{name}={chosen[name]}" for name in names)
    note(f"chosen for {num:,} picture{'s' * (num != 1)}: {text}")
    return config


def rule(
    num: int, side: int, classes: int, faster: bool = False, devices: int = 1
) -> dict[str, Any]:
    """The sizes for num pictures of a side, {field: value}.

    data.size          the side
    model.multipliers  a level for each halving of the side, down to 8 pixels
    train.num_steps    500 passes over the pictures, but 5,000 to 50,000; on a CPU 1,000
    train.num_preview  as many of each class, about 36 in all

    faster: whether this is no CPU.  devices: of which each gets as many examples.
    """
    sizes = FASTER if faster else CPU
    levels = 1
    while side % 2**levels == 0 and side >> levels >= LOWEST:
        levels += 1
    few, most = sizes["steps"]
    batch = devices * ceil(sizes["batch"] / devices)
    steps = min(max(ceil(PASSES * num / batch), few), most)
    each = PREVIEW // classes if classes else 0
    return {
        "data.size": side,
        "model.channels": sizes["channels"],
        "model.multipliers": MULTIPLIERS[:levels],
        "train.batch_size": batch,
        "train.num_steps": steps,
        "train.sample_every": ceil(steps / 5),
        "train.checkpoint_every": ceil(steps / 5),
        "train.num_preview": each * classes or PREVIEW,
    }


def _faster() -> bool:
    return jax.default_backend() != "cpu"


def _size(data: ConfigDict, faster: bool) -> int:
    """Of a folder: the largest of PIXELS that its pictures typically have, and that
    suits the machine. Other sources keep their size.
    """
    if data.name != "folder":
        return 0
    side = folder.typical_side(data.path, data.rules)
    if side < PIXELS[0]:
        note(f"most pictures are narrower than {PIXELS[0]} pixels, and are enlarged")
    smaller = [s for s in PIXELS if s <= side and (faster or s <= LARGEST_ON_CPU)]
    return max(smaller, default=PIXELS[0])


def _counted(
    config: ConfigDict, read: Callable[[ConfigDict], Source]
) -> tuple[int, int, int]:
    """How many pictures, their side (what height and width share), and classes."""
    d = config.data
    if d.name == "folder" and d.size:
        files, _, names, _ = listing.find(d.path, d.rules)
        return len(files), d.size, len(names)
    source = read(config)
    require(source.is_image, "auto: its rules are for images, and the data are tables")
    return len(source), gcd(*source.shape[:2]), source.num_classes
