"""The keys of a JSON file of diffusers, with their defaults and types."""

from collections.abc import Mapping
from typing import Any

from jaxdiff.arrays import require

__all__ = ["Fields", "Json", "Read"]

Json = dict[str, Any]
Fields = dict[str, Any]

# Keys that may be null, though their default is not.
NULL = ("attention_head_dim", "mid_block_type")
# Keys whose default is null -> examples of what they hold otherwise.
OTHERWISE: dict[str, tuple[Any, ...]] = {
    "sample_size": (32, (32, 32)),
    "num_class_embeds": (10,),
    "trained_betas": ((1e-4, 0.02),),
}
# Counts that may be 0; all others are at least 1.
ZERO = ("downsample_padding", "freq_shift", "steps_offset")


class Read:
    """A file's keys with their defaults; it lists those that cannot be had here.

    Errors: ValueError for a value of another type than the key has in diffusers.
    """

    def __init__(self, stored: Mapping[str, Any], defaults: Json):
        self.all = defaults | {k: v for k, v in stored.items() if not k.startswith("_")}
        self.refused = [f"{k}={v!r}" for k, v in self.all.items() if k not in defaults]
        wrong = [k for k, v in defaults.items() if not _is_typed(k, self.all[k], v)]
        for key in wrong[:1]:
            example = OTHERWISE.get(key, (defaults[key],))[0]
            raise ValueError(
                f"{key}={self.all[key]!r} must be like {key}={example!r}, which "
                "diffusers takes"
            )

    def __getitem__(self, key: str) -> Any:
        return self.all[key]

    def need(self, fits: object, *keys: str) -> None:
        """List these keys unless they fit."""
        if not fits:
            self.refused += [f"{key}={self[key]!r}" for key in keys]

    def check(self) -> None:
        """ValueError for all that is listed."""
        listed = ", ".join(dict.fromkeys(self.refused))
        require(not self.refused, f"jaxdiff has no counterpart of {listed}")


def _is_typed(key: str, value: Any, default: Any) -> bool:
    """Whether a value is like the default of its key, or like its other examples."""
    if default is None:  # keys without examples must be null: `Read.need` lists them
        likes = OTHERWISE.get(key, ())
        return value is None or not likes or any(_alike(key, value, e) for e in likes)
    return (value is None and key in NULL) or _alike(key, value, default)


def _alike(key: str, value: Any, example: Any) -> bool:
    if isinstance(example, list | tuple):
        is_list = isinstance(value, list | tuple) and len(value) > 0
        return is_list and all(_alike(key, one, example[0]) for one in value)
    if isinstance(example, int) and not isinstance(example, bool):
        is_count = isinstance(value, int) and not isinstance(value, bool)
        return is_count and value >= (key not in ZERO)
    if isinstance(example, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, type(example))
