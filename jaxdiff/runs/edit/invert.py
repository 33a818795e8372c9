"""Edits through noise: an image is noised, or inverted, and sampled from there."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff import build, rng
from jaxdiff.arrays import require
from jaxdiff.choices import members
from jaxdiff.diffusion import grids, inversion, sampling, solvers
from jaxdiff.runs.edit.request import EditRequest, EditResult, mean_error
from jaxdiff.runs.experiment import Experiment
from jaxdiff.runs.sampler import Sampler


def vary(request: EditRequest) -> EditResult:
    """Noised to a time and sampled down from there (SDEdit, arXiv:2108.01073)."""
    num, strength, run = request.count(4), request.strength, request.run
    require(0 < strength <= 1, f"--strength must be above 0, at most 1, got {strength}")
    noise, times = build.make_noise(run.config), grid_of(run)
    ts = times[times <= strength + 1e-9]
    require(
        len(ts) > 1,
        f"--strength={strength} is below the sampler's last time, {times[-2]:.2g}, so "
        "that nothing would change; give a larger one",
    )
    sampler = run.sampler(route=lambda solver, _: (solver, ts))
    images = request.inputs()
    cond, n = request.conditions(images), len(images.values)
    x0 = np.repeat(run.source.encode(images.values), num, axis=0)
    keys = rng.split_by(jax.random.key(request.seed), jnp.arange(len(x0)))
    at = {"schedule": run.schedule, "noise": noise, "t": float(ts[0])}
    z = sampling.init_noise(keys, run.source.shape, **at)
    x_T = np.asarray(run.schedule.alpha(jnp.float32(ts[0])) * x0 + z)
    return request.result(
        images.names,
        cond,
        request.draw(sampler, cond, num, n, x_T=x_T),
        before={"image": images.values},
        summary=f"{images.counts(num)} from t={ts[0]:.2g}, {sampler.nfe()} NFE each",
    )


def invert(request: EditRequest) -> EditResult:
    """The noise that each image comes from, and what comes back from it."""
    if request.every:
        return compare_solvers(request)
    request.count(1)
    check_reversible(request.run)
    up, down = both_ways(request.run)
    images, source = request.inputs(), request.source
    cond, n = request.conditions(images), len(images.values)
    noise = request.draw(up, cond, 1, n, x_T=source.encode(images.values))[:, 0]
    x = request.draw(down, cond, 1, n, x_T=noise)
    grey = 0.5 + noise / (6 * noise.std())
    result = request.result(
        images.names,
        cond,
        x,
        names=["reconstruction"],
        before={"image": images.values, "noise": source.peak * grey},
        saved={"noise": noise},
    )
    gap = np.abs(result.values[:, 0] - images.values)
    return result._replace(
        after={"5 x error": 5 * gap},
        summary=f"{n} images there and back by {request.run.config.sampler.solver}, "
        f"{up.nfe()} + {down.nfe()} NFE each: mean absolute error "
        f"{mean_error(source, gap):.4f} (black to white is 2)",
    )


def interpolate(request: EditRequest) -> EditResult:
    """Images between two, sampled from between their noises (slerp)."""
    num = request.count(8)
    require(num >= 2, f"--num must be at least 2, for both ends, got {num}")
    check_reversible(request.run)
    up, down = both_ways(request.run)
    images = request.inputs()
    n, ends = len(images.values), jax.tree.leaves(images.cond)
    require(n == 2, f"interpolate is between two images, got {n}; give --image twice")
    # one condition for the whole path: that of both ends, where it is the same
    if not all(np.array_equal(*end) for end in ends):
        images = images._replace(cond=None)
    cond = request.conditions(images)
    x0 = request.source.encode(images.values)
    noise = request.draw(up, cond, 1, 2, x_T=x0)[:, 0]
    shares, one = np.linspace(0, 1, num), jax.tree.map(lambda a: a[:1], cond)
    a, b = jnp.asarray(noise)
    path = jnp.stack([inversion.slerp(a, b, share) for share in shares])
    return request.result(
        [""],
        one,
        request.draw(down, one, num, 1, x_T=np.asarray(path)),
        names=[f"{share:.2g}" for share in shares],
        before={images.names[0]: images.values[:1]},
        after={images.names[1] + " ": images.values[1:]},  # names may be the same
        summary=f"{num} images between two, {up.nfe()} + {down.nfe()} NFE each",
        saved={"noise": noise},
    )


def compare_solvers(request: EditRequest) -> EditResult:
    """The error of coming back by each solver that can, at about the same NFE."""
    images, source = request.inputs(), request.source
    cond, n = request.conditions(images), len(images.values)
    samplers, left_out = {}, []
    for name in members(solvers):
        run = request.run.with_sampler(solver=name)
        try:
            check_reversible(run)
        except inversion.IrreversibleSolverError:
            left_out.append(name)
            continue
        steps = num_steps(run, request.nfe)
        samplers[name] = steps, *both_ways(run.with_sampler(num_steps=steps))
    values, rows, lines = [images.values], ["image"], []
    for name, (steps, up, down) in samplers.items():
        noise = request.draw(up, cond, 1, n, x_T=source.encode(images.values))
        x = request.draw(down, cond, 1, n, x_T=noise[:, 0])
        values.append(source.decode(x[:, 0]))
        error = mean_error(source, values[-1] - images.values)
        rows.append(f"{name} {error:.4f}")
        nfe = up.nfe() + down.nfe()
        lines.append((error, f"{name:<12} {error:.5f}  {steps} steps, {nfe} NFE"))
    summary = [
        "mean absolute error there and back (black to white is 2):",
        *(line for _, line in sorted(lines)),
        f"left out, because they draw noise: {', '.join(left_out)}",
        f"{n} images",
    ]
    names = [str(i + 1) for i in range(n)]
    return EditResult(np.stack(values), rows, names, {}, {}, "\n".join(summary), {})


def num_steps(run: Experiment, most: int) -> int:
    """As many steps as fit, up and down together, into an NFE of `most`."""

    def cost(n):
        return sum(s.nfe() for s in both_ways(run.with_sampler(num_steps=n)))

    steps, _ = sampling.most_steps(cost, most)
    require(steps >= 4, f"--nfe={most} is too few for 4 steps up and down")
    return steps


def both_ways(run: Experiment) -> tuple[Sampler, Sampler]:
    """The run's sampler from the data up to the noise, and down again."""

    def rising(solver, ts):
        return inversion.upwards(solver, run.schedule), ts[::-1]

    return run.sampler(route=rising), run.sampler()


def check_reversible(run: Experiment) -> None:
    """Errors: those of inversion.check_reversible."""
    solver = build.make_solver(run.config, run.schedule)
    inversion.check_reversible(solver, run.schedule, grid_of(run))


def grid_of(run: Experiment) -> grids.Grid:
    return build.make_grid(run.config, run.schedule)
