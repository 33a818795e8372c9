"""A sweep: samplers that differ in some numbers, as one program over all of them."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxdiff.arrays import require
from jaxdiff.choices import fields_of, hint, respec
from jaxdiff.data.source import Source
from jaxdiff.diffusion import grids, rules, solvers
from jaxdiff.runs.batched import draw_plan
from jaxdiff.runs.sampler import Base, Sampler, make_sampler
from jaxdiff.tasks.task import Task

# Where a swept name is looked for: numbers of config.sampler itself, and the fields of
# its choices, by the name of the choice.
OWN = ("guidance", "weak_scale", "classifier_scale", "quantile")
HOMES = {"solver": solvers, "grid": grids, "rule": rules}


class Sweep(NamedTuple):
    """names:  of what is swept, in the order asked; the last varies fastest
    values: f64[k, len(names)], one row a combination
    draw:   (params, seed, index, labels) -> f32[k, n, *shape] in model units
    calls:  () -> network calls one image costs
    """

    names: list[str]
    values: np.ndarray
    draw: Any
    calls: Any

    def titles(self) -> list[str]:
        """Of the combinations: "guidance 2, eta 0.5"."""
        return [
            ", ".join(f"{n} {v:g}" for n, v in zip(self.names, row, strict=True))
            for row in self.values
        ]


def parse(config: ConfigDict, asked: Sequence[str]) -> dict[str, list[float]]:
    """ "name=v1,v2" -> name and values. Errors: ValueError for what cannot be swept."""
    found = {}
    for text in asked:
        name, _, values = text.partition("=")
        known = swept_fields(config)
        require(
            name in known, f"--sweep {text}: no {name!r} to sweep{hint(name, known)}"
        )
        require(name not in found, f"--sweep {name} is given twice")
        try:
            found[name] = [float(value) for value in values.split(",")]
        except ValueError:
            raise ValueError(
                f"--sweep {text}: want numbers, as in --sweep {name}=1,2,4"
            ) from None
    return found


def swept_fields(config: ConfigDict) -> dict[str, str]:
    """Name -> the choice that it is a field of, or "" for config.sampler's own."""
    s = config.sampler
    needs = {"weak_scale": s.weak, "classifier_scale": s.classifier}
    found = {name: "" for name in OWN if needs.get(name, True)}
    for choice, home in HOMES.items():
        for field in fields_of(home, s[choice], float):
            found.setdefault(field, choice)
    return found


def with_values(config: ConfigDict, values: dict[str, float]) -> ConfigDict:
    """The config with those numbers."""
    config, where = config.copy_and_resolve_references(), swept_fields(config)
    for name, value in values.items():
        choice = where[name]
        if choice:
            spec = respec(HOMES[choice], config.sampler[choice], **{name: value})
            config.sampler[choice] = spec
        else:
            config.sampler[name] = value
    return config


def make_sweep(
    config: ConfigDict,
    source: Source,
    task: Task,
    asked: dict[str, list[float]],
    base: Base | None = None,
) -> Sweep:
    """Every combination of the values asked for; the same noise for each.

    Errors: ValueError for values that a maker refuses, or that change the program.
    """
    names = list(asked)
    rows = list(itertools.product(*asked.values()))
    samplers: list[Sampler] = [
        make_sampler(
            with_values(config, dict(zip(names, row, strict=True))),
            source,
            task,
            base=base,
            general="guidance" in asked,
        )
        for row in rows
    ]

    def draw(params, seed, index, labels):
        plan, varied = stack([sampler.plan(params) for sampler in samplers])
        told, size = samplers[0].each(seed, index, labels), config.sampler.batch_size
        return draw_plan(plan, told, source.shape, seed, size, varied)

    return Sweep(names, np.array(rows), draw, samplers[0].calls)


def stack(trees: Sequence[Any]) -> tuple[Any, tuple[int, ...]]:
    """Trees of one structure as one, and which leaves lead with [k] as they differ.

    Errors: ValueError for trees of several structures.
    """
    structures = {jax.tree.structure(tree) for tree in trees}
    require(
        len(structures) == 1,
        "--sweep: these values make different programs, not one with other numbers; "
        "sample them one by one",
    )
    leaves, varied = [], []
    for i, own in enumerate(zip(*map(jax.tree.leaves, trees), strict=True)):
        if all(leaf is own[0] for leaf in own) or _equal(own):
            leaves.append(own[0])
        else:
            leaves.append(jnp.stack([jnp.asarray(leaf) for leaf in own]))
            varied.append(i)
    return jax.tree.unflatten(structures.pop(), leaves), tuple(varied)


def _equal(leaves):
    """Of small leaves alone: a network's are the same arrays."""
    return all(
        np.size(leaf) < 10_000 and np.array_equal(leaf, leaves[0]) for leaf in leaves
    )
