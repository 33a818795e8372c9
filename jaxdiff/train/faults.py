"""What is wrong with a batch that gave a loss which is not finite."""

import jax
import numpy as np

from jaxdiff.arrays import PyTree


def in_words(batch: PyTree, num_classes: int) -> str:
    """The first fault of a batch's values, in words; "" if there is none.

    num_classes: of the labels that its condition is; 0 for another condition.
    """
    for path, values in jax.tree_util.tree_leaves_with_path(batch):
        rows = np.asarray(values).reshape(len(values), -1)
        bad = rows.dtype.kind == "f" and (~np.isfinite(rows)).any(axis=1).sum()
        if bad:
            where = jax.tree_util.keystr(path)
            return f"batch{where} is not finite in {bad} of {len(rows)} examples"
    if num_classes:
        labels = np.asarray(batch["cond"])
        others = labels[(labels < 0) | (labels >= num_classes)]
        if others.size:
            classes = f"the classes are from 0 to {num_classes - 1}"
            return f"batch['cond'] has the label {others[0]}, and {classes}"
    return ""
