"""What the names and shapes of OpenAI's published networks do not determine.

Each row is recognised by the network's structure. Several checkpoints of one structure
(ADM without classes at 256x256 of ImageNet, or of LSUN) share a row, so their data are
assumed. A --config replaces all of this.
Source: the flags in the README files of improved-diffusion and guided-diffusion.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxdiff.arrays import require

ADM, IDDPM = "block", "conv"


class Published(NamedTuple):
    """channels, multipliers, num_blocks, levels, resample, is_upsampler, classes: as of
    the Network.

    side:   of the images in pixels
    order:  of queries, keys and values: "old" or "new"
    fields: of the config
    """

    channels: int
    multipliers: tuple[int | float, ...]
    num_blocks: int
    levels: tuple[int, ...]
    resample: str
    is_upsampler: bool
    classes: int
    side: int
    order: str
    fields: dict[str, Any]


def _heads(num_heads: int = 0, head_channels: int = 0) -> dict[str, Any]:
    return {"model.num_heads": num_heads, "model.head_channels": head_channels}


def _data(dataset: str, size: int) -> dict[str, Any]:
    return {
        "data.name": "tfds",
        "data.dataset": dataset,
        "data.size": size,
        "data.flip": True,
    }


def _noise(schedule: str, total: int = 1000, scale: float = 1.0) -> dict[str, Any]:
    """A table of `total` steps; scale: of the network's input for the step."""
    steps = f"num_steps={total}"
    fields = {
        "diffusion.schedule": f"{schedule}_beta({steps})",
        "diffusion.prediction": "eps",
        "diffusion.times": f"discrete({steps})",
        "diffusion.time_feature": f"index({steps}, scale={scale})",
        "diffusion.stratified": False,
    }
    if total == 1000:
        fields["diffusion.schedule"] = f"{schedule}_beta"
        fields["diffusion.time_feature"] = "index"
    return fields


def _denoiser(total: int = 1000) -> dict[str, Any]:
    return {
        "diffusion.bound_steps": total,
        "sampler.solver": 'ddpm(variance="learned")',
        "sampler.grid": "respaced" if total == 1000 else f"respaced(total={total})",
        "sampler.num_steps": 250,
        "sampler.batch_size": 16,
    }


TRAIN = {
    "train.optimizer": "adamw(weight_decay=0.0)",
    "train.lr": "constant(peak=1e-4)",
    "train.ema": "constant(decay=0.9999)",
}


def _adm(
    size: int, schedule: str, heads: dict[str, Any], **more: Any
) -> dict[str, Any]:
    data = _data("imagenet2012", size)
    return data | _noise(schedule) | _denoiser() | TRAIN | heads | more


def _iddpm(
    dataset: str, size: int, noise: dict[str, Any], heads: int, total: int = 4000
) -> dict[str, Any]:
    return _data(dataset, size) | noise | _denoiser(total) | TRAIN | _heads(heads)


LOW_64, LOW_128 = {"diffusion.low_size": 64}, {"diffusion.low_size": 128}
SMALL, LARGE = (1, 2, 3, 4), (1, 1, 2, 2, 4, 4)
WIDE, HUGE = (1, 1, 2, 3, 4), (0.5, 1, 1, 2, 2, 4, 4)
D64, H4 = _heads(head_channels=64), _heads(4)
DROP = {"model.dropout": 0.1}
COSINE = _noise("cosine", 4000, 0.25)

PUBLISHED = (
    # guided-diffusion: 64, 128, 256, 256 without classes and LSUN, 512, and upsamplers
    Published(192, SMALL, 3, (1, 2, 3), ADM, False, 1000, 64, "new",
              _adm(64, "cosine", D64, **DROP)),
    Published(256, WIDE, 2, (2, 3, 4), ADM, False, 1000, 128, "old",
              _adm(128, "linear", H4)),
    Published(256, LARGE, 2, (3, 4, 5), ADM, False, 1000, 256, "old",
              _adm(256, "linear", D64)),
    Published(256, LARGE, 2, (3, 4, 5), ADM, False, 0, 256, "old",
              _adm(256, "linear", D64)),
    Published(256, HUGE, 2, (4, 5, 6), ADM, False, 1000, 512, "old",
              _adm(512, "linear", D64)),
    Published(192, LARGE, 2, (3, 4, 5), ADM, True, 1000, 256, "old",
              _adm(256, "linear", H4, **LOW_64)),
    Published(192, LARGE, 2, (4, 5), ADM, True, 1000, 512, "old",
              _adm(512, "linear", D64, **LOW_128)),
    # improved-diffusion: CIFAR-10, ImageNet 64 without and with classes, its upsampler,
    # and LSUN bedrooms
    Published(128, (1, 2, 2, 2), 3, (1, 2), IDDPM, False, 0, 32, "old",
              _iddpm("cifar10", 32, COSINE, 4) | {"model.dropout": 0.3}),
    Published(128, SMALL, 3, (2, 3), IDDPM, False, 0, 64, "old",
              _iddpm("imagenet2012", 64, COSINE, 4)),
    Published(192, SMALL, 3, (2, 3), IDDPM, False, 1000, 64, "old",
              _iddpm("imagenet2012", 64, _noise("cosine", 4000), 4)),
    Published(192, LARGE, 2, (4, 5), IDDPM, True, 1000, 256, "old",
              _iddpm("imagenet2012", 256, _noise("linear", 4000), 4) | LOW_64),
    Published(128, LARGE, 2, (4,), IDDPM, False, 0, 256, "old",
              _iddpm("lsun/bedroom", 256, _noise("linear"), 1, 1000)),
)  # fmt: skip


def classifier(side: int) -> Published | None:
    """The classifier of guided-diffusion for images of that side."""
    if side not in (64, 128, 256, 512):
        return None
    noise = _noise("cosine" if side == 64 else "linear")
    fields = _data("imagenet2012", side) | noise | TRAIN | D64
    fields["train.optimizer"] = "adamw(weight_decay=0.05)"
    return Published(128, (), 0, (), ADM, False, 1000, side, "old", fields)


def side_of(
    given: Mapping[str, Any] | None, known: int = 0, determined: int = 0
) -> int:
    """The side of a network's images in pixels, which names and shapes seldom give.

    Args:   given: the fields of a config, or None.  known: of the published network, or
            0.  determined: by the network, or 0.
    Errors: ValueError if it is not known, or the config has another.
    """
    if given is None:
        require(
            known,
            "names and shapes do not determine the size of its images and its noise, "
            "and it is none of the published networks; give a --config",
        )
        return known
    made_up = given["data.name"] == "synthetic"
    size = given["data.shape"][0] if made_up else given["data.size"]
    side = size or determined or known
    require(side, "the size of its images is not known; give --config.data.size=SIDE")
    require(
        determined in (0, side),
        f"it is for images of {determined}x{determined}, and the config has {side}; "
        f"give --config.data.size={determined}",
    )
    return side
