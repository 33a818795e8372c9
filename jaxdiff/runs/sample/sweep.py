"""A sweep: samplers that differ in some numbers, as one program over all of them."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxdiff.arrays import require
from jaxdiff.choices import fields_of, hint, respec
from jaxdiff.diffusion import grids, rules, solvers
from jaxdiff.runs.batched import draw_batches
from jaxdiff.runs.experiment import Experiment

# What can be swept: these numbers of config.sampler, and every number that its solver,
# grid or rule takes.
NUMBERS = ("guidance", "weak_scale", "classifier_scale", "quantile")
HOMES = {"solver": solvers, "grid": grids, "rule": rules}


class Sweep(NamedTuple):
    """names:  of what is swept, in the order given; the last varies fastest
    values: f64[k, len(names)], a row for each combination
    draw:   (seed, index, cond) -> f32[k, n, *shape] in model units
    nfe:    () -> NFE of one image
    """

    names: list[str]
    values: np.ndarray
    draw: Callable[..., np.ndarray]
    nfe: Callable[[], int]

    def titles(self) -> list[str]:
        """Of the combinations: "guidance 2, eta 0.5"."""
        return [
            ", ".join(f"{n} {v:g}" for n, v in zip(self.names, row, strict=True))
            for row in self.values
        ]


def parse(config: ConfigDict, texts: Sequence[str]) -> dict[str, list[float]]:
    """ "name=v1,v2" -> name and values. Errors: ValueError for what cannot be swept."""
    parsed, known = {}, swept_fields(config)
    for text in texts:
        name, _, values = text.partition("=")
        require(
            name in known, f"--sweep {text}: no {name!r} to sweep{hint(name, known)}"
        )
        require(name not in parsed, f"--sweep {name} is given twice")
        try:
            parsed[name] = [float(value) for value in values.split(",")]
        except ValueError:
            raise ValueError(
                f"--sweep {text}: expected numbers, as in --sweep {name}=1,2,4"
            ) from None
    return parsed


def swept_fields(config: ConfigDict) -> dict[str, str]:
    """Name -> which choice takes it, of HOMES; "" for config.sampler itself."""
    s = config.sampler
    needs = {"weak_scale": s.weak, "classifier_scale": s.classifier}
    fields = {name: "" for name in NUMBERS if needs.get(name, True)}
    for choice, home in HOMES.items():
        for field in fields_of(home, s[choice], float):
            fields.setdefault(field, choice)
    return fields


def sampler_fields(config: ConfigDict, values: dict[str, float]) -> dict[str, Any]:
    """The fields of config.sampler that have those numbers."""
    fields, choices = {}, swept_fields(config)
    for name, value in values.items():
        choice = choices[name]
        if choice:
            spec = fields.get(choice, config.sampler[choice])
            fields[choice] = respec(HOMES[choice], spec, **{name: value})
        else:
            fields[name] = value
    return fields


def make_sweep(run: Experiment, values: dict[str, list[float]]) -> Sweep:
    """Every combination of the values of each name; the same noise for each.

    Errors: ValueError for values that a maker refuses, or that change the program.
    """
    rows, config = list(itertools.product(*values.values())), run.config
    fields = [sampler_fields(config, dict(zip(values, r, strict=True))) for r in rows]
    general = "guidance" in values
    samplers = [run.with_sampler(**f).sampler(general=general) for f in fields]

    def draw(seed, index, cond):
        shared, varied = stack([sampler.shared(run.params) for sampler in samplers])
        images = samplers[0].per_image(seed, index, cond)
        args = run.source.shape, seed, config.sampler.batch_size, varied
        return draw_batches(shared, images, *args)

    return Sweep([*values], np.array(rows), draw, samplers[0].nfe)


def stack(trees: Sequence[Any]) -> tuple[Any, tuple[int, ...]]:
    """Trees of one structure as one tree, and which of its leaves lead with [k]: those
    that differ.

    Errors: ValueError for trees of several structures.
    """
    structures = {jax.tree.structure(tree) for tree in trees}
    require(
        len(structures) == 1,
        "--sweep: these values make different programs, not one with other numbers; "
        "sample them one by one",
    )
    leaves, varied = [], []
    for i, group in enumerate(zip(*map(jax.tree.leaves, trees), strict=True)):
        if all(leaf is group[0] for leaf in group) or _equal(group):
            leaves.append(group[0])
        else:
            leaves.append(jnp.stack([jnp.asarray(leaf) for leaf in group]))
            varied.append(i)
    return jax.tree.unflatten(structures.pop(), leaves), tuple(varied)


def _equal(leaves):
    """Compares small leaves only: a network's parameters are the same arrays."""
    return all(
        np.size(leaf) < 10_000 and np.array_equal(leaf, leaves[0]) for leaf in leaves
    )
