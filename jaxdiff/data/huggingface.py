"""Data sets of the Hugging Face hub, and those saved by the package `datasets`."""

from importlib import import_module
from pathlib import Path

from jaxdiff.data import arrays
from jaxdiff.data.source import Source


def make(
    dataset: str = "", split: str = "train", path: str = "", low: float = -1.0
) -> Source:
    """A data set with a feature of images, or the columns of a table.

    Args:   dataset: its name on the hub ("ylecun/mnist"); `datasets` downloads it, and
            keeps it where it keeps others.  path: instead, a folder of save_to_disk.
            split: as `datasets` has it: train, test, or train[:1000].
            low: value of black in model units.
    Errors: ValueError without `datasets`, unless one of dataset and path is given, for
            no such split, and as arrays.of_dataset; what `datasets` raises.
    """
    if bool(dataset) == bool(path):
        raise ValueError(
            "give data.dataset, a name on the hub, or data.path, a folder that "
            "save_to_disk wrote (one of the two)"
        )
    try:
        datasets = import_module("datasets")
    except ModuleNotFoundError:
        raise ValueError(
            "data.name='huggingface' needs the package datasets: pip install datasets"
        ) from None
    if dataset:
        data = datasets.load_dataset(dataset, split=split)
    else:
        data = datasets.load_from_disk(str(Path(path).expanduser()))
        if hasattr(data, "keys"):  # of several splits
            if split not in data:
                there = ", ".join(data)
                raise ValueError(f"data.split={split!r}: {path} has {there}")
            data = data[split]
    return arrays.of_dataset(data, low=low)
