"""How likely a run finds its data: two bounds and the flow's density, in bits a value.

Pixels lie on levels: a bound's decoder gives each level its own probability, and the
flow, which knows densities, is shown pixels spread evenly over their levels, so that
its density times a level's width is a bound as well. Columns of a table and codes are
numbers: their bits are of densities in model units, and can be negative. Of codes that
have a density of their own (a variational first stage) the bits are those of the
images: the model's of the code, the decoder's of the image given it, and less what the
choice of code could tell (tasks/autoencoder.py, equation 4).
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from jaxdiff import build, rng
from jaxdiff.arrays import require
from jaxdiff.data.batches import permutation
from jaxdiff.diffusion import density, likelihood
from jaxdiff.diffusion.schedules import Schedule
from jaxdiff.plots import curves
from jaxdiff.runs import shards
from jaxdiff.runs.evaluate import latent_likelihood as bits_of_images
from jaxdiff.runs.evaluate.latent_likelihood import Stage, load_stage
from jaxdiff.runs.experiment import Trained, load
from jaxdiff.train import parallel

# Ways to a number of bits, from the cheapest.
WAYS = ("continuous", "discrete", "flow")
# Of so few values the exact divergence costs no more than a few probes.
FEW = 16
# Of codes with a density: what adds up to the bits of their images.
SHARES = ("codes", "decoder of images", "encoder")
# What a file of each chunk is called, and how many examples are in one.
STEM, CHUNK = "bits", 256


class Request(NamedTuple):
    """What was asked for, checked: see `prepare`.

    index: i64[n], the examples.  asked: what their bits depend on
    """

    trained: Trained
    schedule: Schedule
    index: np.ndarray
    asked: dict[str, Any]
    out: Path
    going_on: bool
    stage: Stage | None


class Model(NamedTuple):
    """What is the same for all examples, a value.

    cleanest: f32[].  width: of a level, f32[] or f32[c]; 0 for what has none
    """

    denoise: Any
    schedule: Schedule
    decoder: likelihood.Decoder
    cleanest: Any
    width: Any


def prepare(
    workdir: Path,
    config: ConfigDict,
    *,
    ways: list[str],
    num: int,
    steps: int,
    cleanest: float,
    seed: int,
    out: Path,
    force: bool,
) -> Request:
    """Check everything before any work.

    Args:   num: examples, drawn by the seed from the run's data.
            steps: of the discrete bound, and terms of the continuous one's integral.
            cleanest: sigma / alpha that the continuous bound and the flow begin at; 0
            for a quarter of a pixel's level, of other data .01. Far below, networks
            know the data no better, and the integral counts it.
            out: what is there of the same request is not done again.
    Errors: ValueError, FileNotFoundError.
    """
    unknown = [way for way in ways if way not in WAYS]
    require(
        ways and not unknown,
        f"ways to bits must be of {', '.join(WAYS)}, got "
        f"{', '.join(unknown) or 'none'}",
    )
    require(steps >= 2, f"--steps must be at least 2, got {steps}")
    require(0 <= cleanest < 1, f"--cleanest must be from 0 to 1, got {cleanest}")
    trained = load(workdir, config)
    require(
        trained.task.kind == "denoiser" and not config.diffusion.low_size,
        "bits are of a model that makes data by itself: of no classifier, autoencoder "
        "or upsampler",
    )
    size = len(trained.source)
    require(2 <= num <= size, f"--num must be from 2 to the data's {size}, got {num}")
    if not cleanest:
        cleanest = float(np.min(_width(trained.source))) / 4 or 0.01
    asked = {
        "workdir": str(workdir.resolve()),
        "step": trained.step,
        "ema": config.sampler.ema,
        "data": config.data.to_dict(),
        "ways": [way for way in WAYS if way in ways],
        "num": num,
        "steps": steps,
        "cleanest": cleanest,
        "seed": seed,
        "shard": min(CHUNK, num),
    }
    going_on = shards.begin(out, asked, force, stem=STEM, whole_too=True)
    index = permutation(seed, 0, size)[:num]
    schedule = build.make_schedule(config)
    stage = load_stage(config, trained.source)
    return Request(trained, schedule, index, asked, out, going_on, stage)


def run(request: Request) -> list[dict[str, Any]]:
    """Work out, print and draw the bits of every way; see `prepare`.

    Returns: a row a way: bits per value, its standard error over the examples, and its
    parts; of codes also the deviation of the decoder's normal. Writes bits-*.npz,
    f32[n] a part, and bits.png, where the bounds' bits are.
    """
    asked, out = request.asked, request.out
    shards.start(out, asked, request.going_on, STEM)
    parts = shards.plan(asked["num"], asked["shard"], STEM)
    if request.stage:
        stage = bits_of_images.measured(request.stage, asked["seed"], request.index)
        request = request._replace(stage=stage)
    for name, rows in tqdm(parts.items(), "bits", unit="file", disable=None):
        if not (out / name).is_file():
            shards.write(out / name, _bits(request, request.index[rows]))
    files = [arrays for _, arrays in shards.read(out, STEM)]
    found = {k: np.concatenate([f[k] for f in files], axis=-1) for k in files[0]}
    rows = [_row(way, found) for way in asked["ways"]]
    if request.stage:
        std = {"decoder_std": float(np.exp(request.stage.log_std))}
        rows = [row | std for row in rows]
    lines = {
        f"{way} bound": (found[f"{way}_at"].mean(-1), found[f"{way}_steps"].mean(-1))
        for way in asked["ways"]
        if way != "flow"
    }
    if lines:
        curves.save_lines(
            out / "bits.png",
            lines,
            xlabel="log-SNR",
            ylabel="bits per value and term",
            title=f"{asked['num']} examples, {asked['steps']} terms",
        )
    return rows


def _row(way, found):
    total = found[f"{way}_total"].astype(np.float64)
    error = total.std(ddof=1) / np.sqrt(len(total))
    row = {"way": way, "bits": float(total.mean()), "error": float(error)}
    names = ("ode_steps",) if way == "flow" else ("prior", "decoder")
    names += tuple(k for k in SHARES if f"{way}_{k}" in found)
    return row | {k: float(found[f"{way}_{k}"].mean()) for k in names}


def _bits(request, index):
    """Name -> f32[..., n] of some examples, by every way asked for."""
    trained, asked = request.trained, request.asked
    source, devices = trained.source, jax.local_devices()
    # every file's examples are repeated up to one number: one shape compiles
    n, most = len(index), asked["shard"]
    rows = np.minimum(np.arange(-(-most // len(devices)) * len(devices)), n - 1)
    batch, told = source[index[rows]], None
    if request.stage:
        told = bits_of_images.look(request.stage, asked["seed"], index[rows])
        batch["x"] = told.codes
    labels = batch["label"] if build.num_labels(trained.config, source) else None
    keys = rng.split_by(jax.random.key(asked["seed"]), jnp.asarray(index[rows]))
    each = parallel.shard((keys, jnp.asarray(batch["x"]), labels), len(devices))
    denoise, cleanest = trained.task.model(trained.params), asked["cleanest"]
    width = jnp.asarray(_width(source), jnp.float32)
    model = Model(
        denoise, request.schedule, build.make_decoder(source), cleanest, width
    )
    leaves, structure = jax.tree.flatten(model)
    leaves = parallel.replicate([*map(jnp.asarray, leaves)], devices)
    found = {}
    for way in asked["ways"]:
        got = _pmapped(way, asked["steps"], tuple(devices), structure)(each, leaves)
        for name, value in got.items():
            # (d, ..., b / d) -> (..., n)
            value = np.concatenate([*np.asarray(value)], axis=-1)[..., :n]
            found[f"{way}_{name}"] = value
        if told:
            found |= _of_images(way, found[f"{way}_total"], told, request.stage)
    return found


def _of_images(way, bits, told, stage):
    """Bits per value of codes, f32[n], as bits per value of their images."""
    n, share = len(bits), told.codes[0].size / np.prod(stage.images.shape)
    parts = (bits * share, told.decoder[:n], told.encoder[:n])
    parts = {**dict(zip(SHARES, parts, strict=True)), "total": sum(parts)}
    return {f"{way}_{name}": np.float32(value) for name, value in parts.items()}


@lru_cache
def _pmapped(way, steps, devices, structure):
    """One function for every run of a structure."""

    def one(each, leaves):
        keys, x0, labels = each
        model = jax.tree.unflatten(structure, leaves)
        if way == "flow":
            return _flow(model, keys, x0, labels)
        return (_discrete if way == "discrete" else _continuous)(
            model, keys, x0, labels, steps
        )

    return parallel.pmap_map(one, devices, (True, False))


def _discrete(model, keys, x0, labels, steps):
    ts = jnp.linspace(1, 0, steps + 1, dtype=x0.dtype)
    how = {"decoder": model.decoder}
    bound = likelihood.discrete(
        keys, model.denoise, model.schedule, ts, x0, labels, **how
    )
    at = jnp.maximum(model.schedule.log_snr(ts[:-2]), likelihood.NOISIEST)
    return _told(bound, at, x0)


def _continuous(model, keys, x0, labels, steps):
    how = {"decoder": model.decoder, "num": steps, "cleanest": model.cleanest}
    bound = likelihood.continuous(
        keys, model.denoise, model.schedule, x0, labels, **how
    )
    first, last = likelihood.log_snrs(model.schedule, model.cleanest)
    at = first + (jnp.arange(steps) + 0.5) / steps * (last - first)
    return _told(bound, at, x0)


def _told(bound, at, x0):
    return {
        "total": bound.total,
        "prior": bound.prior,
        "decoder": bound.decoder,
        "steps": bound.steps,
        "at": jnp.broadcast_to(at[:, None], (len(at), len(x0))),
    }


def _flow(model, keys, x0, labels):
    shape, size = x0.shape[1:], x0[0].size
    width = jnp.broadcast_to(model.width, shape)
    spread = rng.draw(jax.random.uniform, rng.fold(keys, 0), shape) - 0.5
    probes = density.draw_probes(rng.fold(keys, 1), shape) if size > FEW else None
    got = density.log_density(
        model.denoise,
        model.schedule,
        x0 + spread * width[None],
        labels,
        probes=probes,
        cleanest=model.cleanest,
    )
    nats = got.log_p + jnp.log(jnp.where(width > 0, width, 1.0)).sum()
    steps = got.steps.astype(x0.dtype)
    return {"total": -nats / size / jnp.log(2.0), "ode_steps": steps}


def _width(source):
    """Of a level, in model units: a number, or one a channel; 0 where there is none."""
    low, high = source.bounds or (0.0, 0.0)
    return (np.asarray(high) - np.asarray(low)) / (source.peak or 1.0)
