"""How likely a run finds its data, in bits per dimension (diffusion/bpd.py).

If the data are codes that have a density of their own (a variational first stage), bpd
are of the images: those of the code by the model, those of the image given its code by
the decoder, and less what the choice of code gives away (tasks/autoencoder.py, eq. 4).
"""

from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

from jaxdiff import build, rng, upgrades
from jaxdiff.arrays import require, require_extra
from jaxdiff.choices import members, parse
from jaxdiff.data.batches import permutation
from jaxdiff.data.source import Source
from jaxdiff.diffusion import bpd, solvers
from jaxdiff.metrics.averages import Average, average
from jaxdiff.plots import curves
from jaxdiff.runs import shards
from jaxdiff.runs.evaluate import latent_likelihood as latent
from jaxdiff.runs.experiment import Experiment
from jaxdiff.train import parallel

# The estimates by name, from the cheapest.
ESTIMATES = members(bpd)
# What a file of examples is called, and how many are in one.
STEM, CHUNK = "bpd", 256


class Request(NamedTuple):
    """What is estimated, checked: see `prepare`.

    index: i64[n], the examples.  record: what their bpd depend on
    out: where files are written, if any.  resume: whether it has some of that record
    """

    run: Experiment
    index: np.ndarray
    record: dict[str, Any]
    out: Path | None
    resume: bool
    stage: latent.Stage | None


def prepare(
    run: Experiment,
    *,
    estimates: list[str],
    num: int,
    steps: int,
    cleanest: float,
    seed: int,
    out: Path | None = None,
    force: bool = False,
) -> Request:
    """Check everything before any work.

    Args:   estimates: of ESTIMATES.  num: examples, drawn by the seed from the data.
            steps: of the discrete bound, and terms of the continuous one's integral.
            cleanest: sigma / alpha at which the continuous bound and the flow begin; 0
            for the default. Far below, networks predict the data no better, and the
            integral counts it.
            out: files of the same request in it are not made again; None for `estimate`
    Errors: ValueError, FileNotFoundError.
    """
    unknown = [name for name in estimates if name not in ESTIMATES]
    got = ", ".join(unknown) or "none"
    why = f"--estimates must be of {', '.join(ESTIMATES)}, got {got}"
    require(estimates and not unknown, why)
    if "flow" in estimates:
        require_extra("the estimate 'flow'", "diffrax", "likelihood")
    require(0 <= cleanest < 1, f"--cleanest must be from 0 to 1, got {cleanest}")
    require(
        run.task.kind == "denoiser" and not run.is_upsampler,
        "bpd needs a model that makes data by itself: no classifier, autoencoder or "
        "upsampler",
    )
    bpd.check_steps(run.schedule, steps, estimates)
    size, config = len(run.source), run.config
    require(
        2 <= num <= size, f"--num_bpd must be from 2 to the data's {size}, got {num}"
    )
    record = {
        **run.made(named=()),
        "ema": config.sampler.ema,
        "data": upgrades.identity(config, "data"),
        "estimates": [name for name in ESTIMATES if name in estimates],
        "num": num,
        "steps": steps,
        "cleanest": cleanest or default_cleanest(run.source),
        "seed": seed,
        "shard": min(CHUNK, num),
    }
    large = ("ddpm", {"variance": "large"})
    if "discrete" in estimates and parse(solvers, config.sampler.solver) == large:
        record["variance"] = "large"  # a record without it is of the small one
    if config.data.holdout:
        record["real"] = "training" if run.source.holdout else "held_out"
    resume = out is not None and _resumes(out, record, force)
    index = permutation(seed, 0, size)[:num]
    return Request(run, index, record, out, resume, latent.make_stage(run))


_resumes = partial(shards.resumes, stem=STEM, keep_complete=True)


def fraction(record: dict[str, Any]) -> float:
    """The variance of the discrete bound in a record: 0 is the small, 1 the large."""
    return float(record.get("variance") == "large")


def default_cleanest(source: Source) -> float:
    """A quarter of a pixel's level, of other data .01; see `prepare`."""
    return float(source.level_width.min()) / 4 or 0.01


def run(request: Request) -> list[dict[str, Any]]:
    """Work out and draw the bpd by every estimate; see `prepare`.

    Returns: a row for each: bpd, the standard error over the examples, and the parts;
    of codes also the deviation of the decoder's normal. Writes bpd-*.npz, f32[n] a
    part, and bpd.png, where along the noise the bounds' bits are.
    """
    record, out, request = request.record, request.out, _fit(request)
    assert out, "without files there is `estimate`"
    shards.prepare_folder(out, record, request.resume, STEM)
    parts = shards.split(record["num"], record["shard"], STEM)
    for name, rows in tqdm(parts.items(), STEM, unit="file", disable=None):
        if not (out / name).is_file():
            shards.write(out / name, _estimate(request, request.index[rows]))
    arrays = _join([arrays for _, arrays in shards.read(out, STEM)])
    _draw(out / "bpd.png", arrays, record)
    rows = [_row(name, arrays) for name in record["estimates"]]
    if request.stage:
        std = {"decoder_std": float(np.exp(request.stage.log_std))}
        rows = [row | std for row in rows]
    return rows


def estimate(request: Request) -> dict[str, np.ndarray]:
    """What the files of `run` hold, f32[..., n] of all examples, without files."""
    request, record = _fit(request), request.record
    parts = shards.split(record["num"], record["shard"], STEM).values()
    return _join([_estimate(request, request.index[rows]) for rows in parts])


def _fit(request):
    args = request.stage, request.record["seed"], request.index
    return request._replace(stage=args[0] and latent.fit_deviation(*args))


def _join(parts):
    return {k: np.concatenate([part[k] for part in parts], axis=-1) for k in parts[0]}


def by_name(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The rows of `run` as name -> value; of codes also the shares that add up."""
    values = {}
    for row in rows:
        name = f"bpd, {row['estimate']}"
        values |= Average(row["bpd"], row["error"]).named(name)
        values |= {f"{name}: {k}": row[k] for k in latent.SHARES if k in row}
    return values


def _row(estimate, arrays):
    mean, error = average(arrays[f"{estimate}_total"], f"bpd by {estimate!r}")
    row = {"estimate": estimate, "bpd": mean, "error": error}
    names = ("ode_steps",) if estimate == "flow" else ("prior", "decoder")
    names += tuple(k for k in latent.SHARES if f"{estimate}_{k}" in arrays)
    return row | {k: float(arrays[f"{estimate}_{k}"].mean()) for k in names}


def _draw(path, arrays, record):
    lines = {
        f"{name} bound": (
            arrays[f"{name}_at"].mean(-1),
            arrays[f"{name}_steps"].mean(-1),
        )
        for name in record["estimates"]
        if name != "flow"
    }
    if lines:
        curves.save_lines(
            path,
            lines,
            xlabel="log-SNR",
            ylabel="bits per dimension and term",
            title=f"{record['num']} examples, {record['steps']} terms",
        )


def _estimate(request, index):
    """Name -> f32[..., n] of some examples, by every estimate."""
    run, record, stage = request.run, request.record, request.stage
    source, devices = run.source, jax.local_devices()
    # the examples of every file are repeated up to one number: one shape compiles
    n, most = len(index), record["shard"]
    rows = np.minimum(np.arange(-(-most // len(devices)) * len(devices)), n - 1)
    batch, share = source[index[rows]], None
    if stage:
        share = latent.measure(stage, record["seed"], index[rows])
        batch["x"] = share.z
    cond = run.task.cond_of(batch)
    keys = rng.split_by(jax.random.key(record["seed"]), jnp.asarray(index[rows]))
    examples = parallel.shard((keys, jnp.asarray(batch["x"]), cond), len(devices))
    model = bpd.Model(
        run.model,
        run.schedule,
        build.make_decoder(source),
        record["cleanest"],
        jnp.asarray(source.level_width, jnp.float32),
        fraction(record),
    )
    model = parallel.replicate(jax.tree.map(jnp.asarray, model), devices)
    arrays = {}
    for name in record["estimates"]:
        function = _pmapped(name, record["steps"], tuple(devices))
        for part, value in function(examples, model).items():
            # (d, ..., b / d) -> (..., n)
            value = np.concatenate([*np.asarray(value)], axis=-1)[..., :n]
            arrays[f"{name}_{part}"] = value
        if share:
            parts = latent.add_up(stage, share, arrays[f"{name}_total"])
            arrays |= {f"{name}_{part}": value for part, value in parts.items()}
    return arrays


@lru_cache
def _pmapped(name, steps, devices):
    """One function for every run: those of one structure share a program."""

    def one(examples, model):
        return ESTIMATES[name](model, *examples, steps)

    return parallel.pmap_map(one, devices, (True, False))
