"""The pictures of an autoencoder's run: its codes, and what is decoded from them."""

import math
from functools import partial
from pathlib import Path

import numpy as np

from jaxdiff.data.batches import permutation
from jaxdiff.data.orders import pairs_of_classes
from jaxdiff.metrics import latents
from jaxdiff.metrics.averages import average
from jaxdiff.plots import pictures
from jaxdiff.plots.latents import save_codes
from jaxdiff.runs.plot.spec import (
    FEW,
    MOST,
    Experiment,
    Numbers,
    PlotRequest,
    PlotSpec,
    always,
    names_of,
    real_images,
)
from jaxdiff.tasks.autoencoder import decode, decode_normal, encode

# Images whose codes are drawn and measured; pairs whose middles are measured; images
# coded or compared at once.
MANY, PAIRS, CHUNK = 10_000, 200, 1000
# The places of a strip between two images.
PLACES = np.linspace(0.0, 1.0, 5, dtype=np.float32)
# Images in a row of reconstructions.
ACROSS = 10


def encode_data(run: Experiment, seed: int, num: int) -> latents.Codes:
    """The codes of `num` images that the seed chooses."""
    index = permutation(seed, 0, len(run.source))[:num]
    means, variances, labels = [], [], []
    for part in np.array_split(index, -(-len(index) // CHUNK)):
        batch = run.source[part]
        mean, log_var = encode(run.model, batch["x"])
        means.append(np.asarray(mean).reshape(len(part), -1))
        if log_var is not None:
            variances.append(np.exp(log_var).reshape(len(part), -1))
        labels.append(run.source.labels_of(batch))
    return latents.Codes(
        np.concatenate(means),
        np.concatenate(variances) if variances else None,
        None if labels[0] is None else np.concatenate(labels),
    )


def walk(
    run: Experiment, a: np.ndarray, b: np.ndarray, places: np.ndarray = PLACES
) -> np.ndarray:
    """f32[n, p, *latent]: at places of the straight lines between the codes of images
    f32[n, h, w, c].
    """
    (start, _), (end, _) = encode(run.model, a), encode(run.model, b)
    return np.stack([start + place * (end - start) for place in places], 1)


def interpolate(run: Experiment, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """f32[n, 5, h, w, c]: decoded at PLACES of the walk between two codes."""
    codes = walk(run, a, b).swapaxes(0, 1)
    return np.stack([decode(run.model, z) for z in codes], 1)


def distances(run: Experiment, seed: int) -> np.ndarray:
    """f[n, 5]: from PLACES of n interpolations to the nearest real image.

    Euclidean, in model units: black and white pixels are 2 apart if data.low is -1.
    """
    source = run.source
    walks = interpolate(run, *pairs_of_classes(source, seed, PAIRS))
    parts = np.array_split(np.arange(len(source)), -(-len(source) // CHUNK))
    real = (source[part]["x"].reshape(len(part), -1) for part in parts)
    flat = walks.reshape(-1, int(np.prod(source.shape)))
    return latents.nearest(flat, real).reshape(walks.shape[:2])


def draw_latents(request: PlotRequest, path: Path) -> Numbers:
    """The codes of many images, coloured by class; their KL to N(0, I)."""
    panels, names, figures, axes = {}, np.array([""]), {}, []
    for title, run in titled(request).items():
        codes = encode_data(run, request.seed, request.num or MANY)
        text = f"KL to N(0, I) {codes.kl:.3g} nats"
        panels[f"{title}: {text}"] = codes.plane
        axes.append(codes.axes)
        print(f"{run.workdir}: {text}, normal fitted to {len(codes.mean):,} codes")
        figures[str(run.workdir)] = {"kl": float(codes.kl), "codes": len(codes.mean)}
        names = np.full(len(codes.mean), "")
        if codes.labels is not None:
            names = np.array(run.source.class_names)[codes.labels]
    save_codes(path, panels, names, axes_names=axes)
    return figures


def draw_interpolation(request: PlotRequest, path: Path) -> Numbers:
    """Strips from image to image through the latent space; two runs side by side.

    Both draw the same pairs. The title has how much nearer to the data the middles of
    the second run are; the difference does not depend on how hard a pair is.
    """
    seed = request.seed
    a, b = pairs_of_classes(request.run.source, seed, min(request.num or FEW, MOST))
    parts, columns, titles, middles, figures = [], [], [], [], {}
    for title, run in titled(request).items():
        apart = distances(run, seed)
        middles.append(apart[:, len(PLACES) // 2])
        figures[str(run.workdir)] = figure = _distance_figures(apart)
        text = (
            "nearest real image {middle:.2f} ± {middle_error:.2f} away in the middle, "
            "{ends:.2f} at the ends"
        ).format(**figure)
        titles.append(f"{title}: {text}")
        print(f"{run.workdir}: {text}, of {len(apart)} pairs")
        if parts:
            parts.append(np.full((len(a), 1, *a.shape[1:]), 255, np.uint8))
            columns.append("")
        strip = np.concatenate([a[:, None], interpolate(run, a, b), b[:, None]], 1)
        parts.append(request.run.pixels(strip))
        columns += ["image", *(f"{place:g}" for place in PLACES), "image"]
    if request.beside:
        gain, error = average(middles[0] - middles[1])
        titles.append(in_words(names_of(_runs(request))[1], gain, error))
        print(titles[-1])
        figures |= {"nearer_by": gain, "nearer_by_error": error}
    strips = np.concatenate(parts, 1)
    rows = {str(i + 1): strip for i, strip in enumerate(strips)}
    pictures.save_rows(path, rows, columns=columns, title="\n".join(titles))
    return figures


def draw_reconstructions(request: PlotRequest, path: Path) -> Numbers:
    """Images, and below them what is decoded from their codes."""
    run, (x, labels, _) = request.run, real_images(request, ACROSS, 2 * ACROSS)
    decoded = decode(run.model, encode(run.model, x)[0])
    names, (title, *_) = run.source.class_names, titled(request)
    pictures.save_rows(
        path,
        {"image": run.pixels(x), "decoded": run.pixels(decoded)},
        columns=() if labels is None else [names[k] for k in labels],
        title=f"reconstructions: {title}",
    )
    return {"images": len(x), "mean_squared_error": float(np.mean((decoded - x) ** 2))}


def draw_decoded(request: PlotRequest, path: Path) -> Numbers:
    """What is decoded from draws of N(0, I): samples, if the codes have that law."""
    run, num = request.run, request.num or 64
    like, _ = encode(run.model, run.source[np.arange(1)]["x"])
    x = decode_normal(run.model, request.keys(np.arange(num)), like)
    pictures.save_grid(path, run.pixels(x))
    return {"samples": num, "seed": request.seed}


def in_words(name: str, gain: float, error: float) -> str:
    """Whether the middles of a run's walks are nearer to the data: by two errors."""
    text = f"{gain:.2f} ± {error:.2f}"
    how = f"nearer to real images, by {text}"
    how = how if gain > 2 * error else f"not nearer to real images: {text}"
    return f"in the middle {name} is {how}"


def _distance_figures(apart: np.ndarray) -> dict[str, float]:
    """Of `distances`: in the middle with its standard error, at the ends; pairs."""
    middle, error = average(apart[:, len(PLACES) // 2])
    ends = float(apart[:, [0, -1]].mean())
    return {"middle": middle, "middle_error": error, "ends": ends, "pairs": len(apart)}


def _runs(request: PlotRequest) -> list[Experiment]:
    """The run, and the one beside it if there is one."""
    return [request.run, request.beside] if request.beside else [request.run]


def titled(request: PlotRequest) -> dict[str, Experiment]:
    """Title -> run, of all that are drawn."""
    runs, titles = _runs(request), {}
    for run, name in zip(runs, names_of(runs), strict=True):
        weight = run.config.autoencoder.kl_weight
        kind = f"variational, KL weight {weight:g}" if weight else "plain"
        titles[f"{name} ({kind})"] = run
    return titles


def no_plane(request: PlotRequest) -> str:
    """Misfit of codes that are single numbers."""
    sizes = [run.config.model.latent_size for run in _runs(request)]
    return "is a plane, and the codes have one number only" if 1 in sizes else ""


def _enough(request: PlotRequest) -> tuple[int, float | int]:
    """Codes whose fitted normal has a density: d + 1 plain ones of d numbers."""
    plain = [r for r in _runs(request) if not r.config.autoencoder.kl_weight]
    codes = [encode(r.model, r.source[np.arange(1)]["x"])[0] for r in plain]
    return max([2, *(z.size + 1 for z in codes)]), math.inf


_spec = partial(
    PlotSpec, data=("images",), task="autoencoder", needs=always(("params",))
)
SPECS = {
    "latents": _spec(draw_latents, pairs=True, num=_enough, misfit=no_plane),
    "interpolation": _spec(
        draw_interpolation, pairs=True, num=always((1, MOST)), pixels=True
    ),
    "reconstructions": _spec(
        draw_reconstructions, num=always((1, 2 * ACROSS)), pixels=True
    ),
    "decoded": _spec(draw_decoded, pixels=True),
}
