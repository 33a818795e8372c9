"""Edits by way of the noise that an image comes from."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxdiff import build
from jaxdiff.arrays import require
from jaxdiff.choices import members
from jaxdiff.diffusion import inversion, sampling, solvers
from jaxdiff.runs.edit.request import (
    Ask,
    Edited,
    Work,
    as_edited,
    calls,
    draw,
    mean_error,
)
from jaxdiff.runs.sampler import Sampler, make_sampler


def invert(ask: Ask) -> Work:
    """The noise that each image comes from, and what comes back from it."""
    if ask.every:
        return every(ask)
    ask.count(1)
    up, down = both_ways(ask, ask.config)
    given = ask.originals()
    labels = ask.labels(given.labels, len(given.values))

    def work():
        n, peak = len(given.values), ask.source.peak
        noise = draw(ask, up, labels, 1, n, x_T=ask.encoded(given))
        x = draw(ask, down, labels, 1, n, x_T=noise[:, 0])
        edited = as_edited(ask, given.names, labels, x)
        gap = np.abs(edited.values[:, 0] - given.values)
        said = (
            f"{n} images there and back by {ask.config.sampler.solver}, "
            f"{up.calls()} + {down.calls()} network calls each: mean absolute error "
            f"{mean_error(ask.source, gap):.4f} (black to white is 2)"
        )
        grey = 0.5 + noise[:, 0] / (6 * noise.std())
        return edited._replace(
            names=["reconstruction"],
            before={"image": given.values, "noise": peak * grey},
            after={"5 x error": 5 * gap},
            said=said,
            saved={**edited.saved, "noise": noise[:, 0]},
        )

    return work


def interpolate(ask: Ask) -> Work:
    """Between two images, by way of their noises (slerp)."""
    num = ask.count(8)
    require(num >= 2, f"--num must be at least 2, for both ends, got {num}")
    up, down = both_ways(ask, ask.config)
    given = ask.originals()
    n = len(given.values)
    require(n == 2, f"interpolate is between two images, got {n}; give --image twice")
    # one condition for the whole way: their class, if that is one
    own = given.labels
    own = None if own is None or own[0] != own[1] else own
    labels = ask.labels(own, 2)

    def work():
        noise = draw(ask, up, labels, 1, 2, x_T=ask.encoded(given))[:, 0]
        shares, one = np.linspace(0, 1, num), None if labels is None else labels[:1]
        a, b = jnp.asarray(noise)
        path = [inversion.slerp(a, b, share) for share in shares]
        x_T = np.asarray(jnp.stack(path))
        edited = as_edited(ask, [""], one, draw(ask, down, one, num, 1, x_T=x_T))
        return edited._replace(
            names=[f"{share:.2g}" for share in shares],
            before={given.names[0]: given.values[:1]},
            after={given.names[1] + " ": given.values[1:]},  # may be called the same
            said=f"{num} images between two, {up.calls()} + {calls(down)}",
            saved={**edited.saved, "noise": noise},
        )

    return work


def every(ask: Ask) -> Work:
    """The error of coming back by each solver that can, at the same network calls."""
    given = ask.originals()
    labels = ask.labels(given.labels, len(given.values))
    ways, left_out = {}, []
    for name in members(solvers):
        config = ask.config.copy_and_resolve_references()
        config.sampler.solver = name
        try:
            config.sampler.num_steps = num_steps(config, ask.calls)
            ways[name] = config.sampler.num_steps, *both_ways(ask, config)
        except inversion.NoWayBack:
            left_out.append(name)

    def work():
        values, rows, lines = [given.values], ["image"], []
        for name, (steps, up, down) in ways.items():
            n = len(given.values)
            noise = draw(ask, up, labels, 1, n, x_T=ask.encoded(given))
            x = draw(ask, down, labels, 1, n, x_T=noise[:, 0])
            values.append(ask.source.decode(x[:, 0]))
            error = mean_error(ask.source, values[-1] - given.values)
            rows.append(f"{name} {error:.4f}")
            spent = up.calls() + down.calls()
            lines.append(
                (error, f"{name:<12} {error:.5f}  {steps} steps, {spent} calls")
            )
        said = "\n".join(
            [
                "mean absolute error there and back (black to white is 2):",
                *(line for _, line in sorted(lines)),
                f"drawing noise, and so left out: {', '.join(left_out)}",
                f"{len(given.values)} images",
            ]
        )
        names = [str(i + 1) for i in range(len(given.values))]
        return Edited(np.stack(values), names, {}, {}, rows, said, {})

    return work


def num_steps(config: ConfigDict, most: int) -> int:
    """As many that the way up and down cost `most` network calls, or just fewer."""

    def cost(n):
        ts = jnp.asarray(build.make_grid(config, n), jnp.float32)
        up = inversion.upwards(solver, schedule)
        return sum(sampling.count_nfe(*way) for way in ((solver, ts), (up, ts[::-1])))

    schedule, solver = build.make_schedule(config), build.make_solver(config)
    inversion.check_reversible(solver, schedule, build.make_grid(config))
    steps, _ = sampling.most_steps(cost, most)
    require(steps >= 4, f"--calls={most} is too few for 4 steps up and down")
    return steps


def both_ways(ask: Ask, config: ConfigDict) -> tuple[Sampler, Sampler]:
    """From the data up, and down to it. Errors: those of `check_reversible`."""
    schedule, args = build.make_schedule(config), (ask.source, ask.trained.task)
    solver, grid = build.make_solver(config), build.make_grid(config)
    inversion.check_reversible(solver, schedule, grid)

    def rising(solver: sampling.Solver, ts: np.ndarray) -> Any:
        return inversion.upwards(solver, schedule), ts[::-1]

    return make_sampler(config, *args, route=rising), make_sampler(config, *args)


KINDS = {"invert": invert, "interpolate": interpolate}
