"""A format of weights as a table, which is read in both directions.

    theirs --to_ours--> ours --to_theirs--> theirs

A table has one Leaf for each parameter of our network. Its Layout states how the same
numbers are laid out in the tensors there. Torch stores convolutions as (out, in,
height, width) and dense layers as (out, in).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff.arrays import PyTree, require

# The units of pixels in all of these projects, as fields: black is -1 and white 1.
PIXELS = {"data.low": -1.0, "data.standardise": False}
# How many wrong names an error lists.
MOST_NAMES = 3


class Layout(NamedTuple):
    """Two functions that are exact inverses of each other.

    to_ours:   (*tensors) -> our array
    to_theirs: our array -> tuple of tensors; also traced for their shapes, so it uses
               methods and slices of arrays alone
    """

    to_ours: Callable[..., Any]
    to_theirs: Callable[[Any], tuple[Any, ...]]


class Leaf(NamedTuple):
    """ours: the path of a parameter, "encoder/stem/kernel".  theirs: the names of the
    tensors that hold its numbers.
    """

    ours: str
    theirs: tuple[str, ...]
    layout: Layout


class Foreign(NamedTuple):
    """A model in the format of another project, before any array is read.

    fields:  {"model.channels": 192, ...}: config fields that its names, shapes and
             other files determine; a config that has others is refused
    assumed: fields that they do not determine, for lack of a config
    shape:   (h, w, c) of an image
    classes: the number of labels that it distinguishes; 0 without
    table:   our parameters, as shapes -> the table
    tensors: () -> {name: array}, those of the table alone
    """

    fields: dict[str, Any]
    assumed: dict[str, Any]
    shape: tuple[int, ...]
    classes: int
    table: Callable[[PyTree], Sequence[Leaf]]
    tensors: Callable[[], Mapping[str, np.ndarray]]


# Torch's names of the arrays of flax's layers.
LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "embedding": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}

same = Layout(lambda t: t, lambda a: (a,))
conv = Layout(lambda t: t.transpose(2, 3, 1, 0), lambda a: (a.transpose(3, 2, 0, 1),))
dense = Layout(lambda t: t.T, lambda a: (a.T,))
# By the number of axes of a kernel.
KERNELS = {2: dense, 4: conv}


def pointwise(spatial: int) -> Layout:
    """A convolution (out, in, 1 ... 1) with `spatial` ones <-> a dense layer."""
    ones = (1,) * spatial
    return Layout(
        lambda t: t.reshape(t.shape[:2]).T,
        lambda a: (a.T.reshape((*a.shape[::-1], *ones)),),
    )


def ordered(
    layout: Layout, order: str, *, num_heads: int = 0, head_channels: int = 0
) -> Layout:
    """`layout`, whose output features are queries, keys and values in another order.

    order: of the axes of their width: 3 (query, key, value), h (heads) and d (the width
           of a head). Ours is "3hd".
    num_heads, head_channels: the number of heads, or their width; the other is 0.
    """
    there = ["3hd".index(axis) for axis in order]
    back = [order.index(axis) for axis in "3hd"]

    def turn(a, axes, now):
        *lead, width = a.shape
        heads, n = num_heads or width // (3 * head_channels), len(lead)
        sizes = {"3": 3, "h": heads, "d": width // (3 * heads)}
        a = a.reshape((*lead, *(sizes[axis] for axis in now)))
        a = a.transpose((*range(n), *(n + axis for axis in axes)))
        return a.reshape((*lead, width))

    return Layout(
        lambda t: turn(layout.to_ours(t), back, order),
        lambda a: layout.to_theirs(turn(a, there, "3hd")),
    )


def joined(layout: Layout, parts: int = 3) -> Layout:
    """Equal parts of our output features, each in a tensor laid out as `layout`."""

    def split(a):
        n = a.shape[-1] // parts
        each = (a[..., i * n : (i + 1) * n] for i in range(parts))
        return tuple(tensor for part in each for tensor in layout.to_theirs(part))

    def join(*tensors):
        return np.concatenate([layout.to_ours(t) for t in tensors], axis=-1)

    return Layout(join, split)


def plain(layout: Layout) -> Layout:
    return layout


def table(
    like: PyTree,
    rename: Callable[[str], str | Sequence[str]],
    layouts: Callable[[str], tuple[Layout, Callable[[Layout], Layout]] | None] = (
        lambda layer: None
    ),
) -> list[Leaf]:
    """A Leaf for each array of our layers: flax's name of the array, and torch's.

    Args: like: our parameters, or their shapes. An array that LEAVES lacks is left out.
          rename: the path of a layer of ours, "encoder/stem", -> its name there, or
          the names of the layers there that are one here.
          layouts: the path of a layer of ours -> how its kernel is laid out there, and
          a change of the layouts of both its kernel and its bias; None for a
          convolution or dense layer that is alike.
    """
    rows = []
    for path, a in flat(like).items():
        layer, _, last = path.rpartition("/")
        if last not in LEAVES:
            continue
        names = rename(layer)
        names = [names] if isinstance(names, str) else names
        kernel, change = layouts(layer) or (KERNELS.get(len(a.shape), same), plain)
        layout = change(kernel if last == "kernel" else same)
        rows.append(Leaf(path, tuple(f"{n}.{LEAVES[last]}" for n in names), layout))
    return rows


def read(
    table: Sequence[Leaf], tensors: Mapping[str, np.ndarray], like: PyTree
) -> PyTree:
    """Our parameters, in the types of `like`: every name and shape is checked first.

    like: the parameters' shapes, of jax.eval_shape.
    Errors: ValueError that names tensors which are missing, unknown, of another shape
            or not of floating-point numbers.
    """
    check(table, {name: a.shape for name, a in tensors.items()}, like)
    leaves, tree = flat(like), jax.tree.structure(like)
    whole = [name for name, a in tensors.items() if not _is_float(a)]
    _none(whole, "must hold floating-point numbers:")
    layouts = {leaf.ours: leaf for leaf in table}

    def build(path, shape):
        leaf = layouts[path]
        array = leaf.layout.to_ours(*(tensors[name] for name in leaf.theirs))
        return np.asarray(array, dtype=shape.dtype, order="C")

    return jax.tree.unflatten(tree, [build(*item) for item in leaves.items()])


def check(
    table: Sequence[Leaf], shapes: Mapping[str, tuple[int, ...]], like: PyTree
) -> None:
    """Errors: as `read`, from the shapes alone."""
    leaves, ours = flat(like), {leaf.ours for leaf in table}
    _none([p for p in leaves if p not in ours], "no tensor is known for our parameter")
    _none([p for p in ours if p not in leaves], "our network has no parameter")
    expected = {}
    for leaf in table:
        made = jax.eval_shape(leaf.layout.to_theirs, leaves[leaf.ours])
        expected |= dict(zip(leaf.theirs, (a.shape for a in made), strict=True))
    _none([name for name in expected if name not in shapes], "it lacks")
    _none([name for name in shapes if name not in expected], "it has the unknown")
    wrong = [name for name, shape in expected.items() if (*shapes[name],) != shape]
    for name in wrong[:1]:
        more = f", and {len(wrong) - 1} more are wrong" if wrong[1:] else ""
        raise ValueError(
            f"{name} must be of shape {expected[name]}, got {(*shapes[name],)}{more}"
        )


def write(table: Sequence[Leaf], params: PyTree) -> dict[str, np.ndarray]:
    """Their tensors of our parameters, the inverse of `read`."""
    leaves, tensors = flat(params), {}
    for leaf in table:
        made = leaf.layout.to_theirs(np.asarray(leaves[leaf.ours]))
        tensors |= dict(zip(leaf.theirs, made, strict=True))
    return tensors


def flat(tree: PyTree) -> dict[str, Any]:
    """{"encoder/stem/kernel": array} of a tree."""
    leaves = jax.tree.leaves_with_path(tree)
    return {jax.tree_util.keystr(p, simple=True, separator="/"): a for p, a in leaves}


def _is_float(a: np.ndarray) -> bool:
    return jnp.issubdtype(a.dtype, jnp.floating)


def _none(names: Sequence[str], text: str) -> None:
    """ValueError that lists the first of some names, if there are any."""
    rest = len(names) - MOST_NAMES
    others = f" and {rest} more" if rest > 0 else ""
    require(not names, f"{text} {', '.join([*names][:MOST_NAMES])}{others}")
