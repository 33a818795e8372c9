"""Pictures of an autoencoder's latent plane: what it decodes, and walks through it."""

from functools import partial
from pathlib import Path

import numpy as np
from jax.scipy.special import ndtri

from jaxdiff.data.orders import pairs_of_classes
from jaxdiff.metrics.averages import average
from jaxdiff.metrics.latents import Codes, density_map, empty, relative_density
from jaxdiff.plots.planes import Walks, save_planes, save_walks
from jaxdiff.runs.plot.autoencoder import (
    MANY,
    PAIRS,
    encode_data,
    no_plane,
    titled,
    walk,
)
from jaxdiff.runs.plot.spec import (
    FEW,
    MOST,
    Experiment,
    Numbers,
    PlotRequest,
    PlotSpec,
    always,
)
from jaxdiff.tasks.autoencoder import decode, encode

# Codes on a side of the sheet; places of a walk; walks share their axes if one latent
# space is at most so many times as wide as another.
SIDE, PLACES, ALIKE = 20, np.linspace(0.0, 1.0, 21, dtype=np.float32), 3.0
# The part of the codes that the axes need not show, at each end.
OUTLIERS = 0.002


def plane(run: Experiment, seed: int) -> np.ndarray:
    """The numbers f[2, 20] whose pairs the sheet decodes, at even quantiles.

    Of N(0, 1) if the model is variational, else of the codes.
    """
    p = (np.arange(SIDE) + 0.5) / SIDE
    if run.config.autoencoder.kl_weight:
        return np.stack([np.asarray(ndtri(p))] * 2)
    return np.quantile(encode_data(run, seed, MANY).mean, p, axis=0).T


def decode_plane(run: Experiment, values: np.ndarray) -> np.ndarray:
    """f32[20, 20, h, w, c]: row j, column i of code (values[0, i], values[1, j])."""
    like, _ = encode(run.model, run.source[np.arange(1)]["x"])
    grid = np.stack(np.meshgrid(*values), -1).astype(np.float32)
    x = decode(run.model, grid.reshape(-1, *like.shape[1:]))
    return np.asarray(x).reshape(*grid.shape[:2], *x.shape[1:])


def draw_sheet(request: PlotRequest, path: Path) -> Numbers:
    """Images decoded over the plane where the codes are."""
    panels, numbers = {}, {}
    for title, run in titled(request).items():
        values = plane(run, request.seed)
        law = "N(0, 1)" if run.config.autoencoder.kl_weight else "the codes"
        text = f"{title}\nat even quantiles of {law}"
        panels[text] = run.pixels(decode_plane(run, values)), values
        numbers[str(run.workdir)] = {"quantiles_of": law, "z": values}
    save_planes(path, panels)
    return numbers


def draw_walks(request: PlotRequest, path: Path) -> Numbers:
    """The walks of `interpolation` as arrows over the density of the codes.

    The title gives the mean log density of codes on PAIRS walks between their ends. The
    numbers also have the share of the walks that is where there are no codes.
    """
    seed, source = request.seed, request.run.source
    pairs, shown = pairs_of_classes(source, seed, PAIRS), min(request.num or FEW, MOST)
    spaces, numbers = {}, {}
    for title, run in titled(request).items():
        codes = encode_data(run, seed, MANY)
        z = walk(run, *pairs, PLACES).reshape(len(pairs[0]), len(PLACES), -1)
        share = average(empty(codes.mean, z).mean(1))
        log_p = average(relative_density(codes.mean, z[:, 1:-1]).mean(1))
        text = "mean log density on the walks, minus that at the codes: "
        text += f"{log_p.value:.2f} ± {log_p.error:.2f} nats"
        empties = f"{100 * share.value:.2g} ± {100 * share.error:.1g} % of the walks is"
        print(f"{run.workdir}: {text}; {empties} where there are no codes")
        counts = {"pairs": len(z), "codes": len(codes.mean)}
        figures = share.named("empty") | log_p.named("log_density") | counts
        lines = codes.project(z[:shown][:, [0, -1]])
        about = {"seed": seed, "axes": codes.axes, "arrows": lines}
        numbers[str(run.workdir)] = figures | about
        spaces[f"{title}\n{text}"] = codes, lines
    corners = {k: _corners(codes.plane, lines) for k, (codes, lines) in spaces.items()}
    if _alike([*corners.values()]):
        low = np.min([c[0] for c in corners.values()], axis=0)
        high = np.max([c[1] for c in corners.values()], axis=0)
        corners = dict.fromkeys(corners, (low, high))
    panels = {}
    for title, (codes, lines) in spaces.items():
        (low, high), centres = corners[title], _centres(codes, source.class_names)
        grey = density_map(codes.plane, low, high)
        panels[title] = Walks(grey, low, high, centres, lines)
    axes = [codes.axes for codes, _ in spaces.values()]
    save_walks(path, panels, axes_names=axes)
    return numbers


def _centres(codes: Codes, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Class -> the median f[2] of its codes in the plane."""
    labels, plane = codes.labels, codes.plane
    if labels is None:
        return {}
    return {names[k]: np.median(plane[labels == k], axis=0) for k in np.unique(labels)}


def _corners(plane: np.ndarray, lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f[2] each, around nearly all codes and the walks."""
    inner = np.quantile(plane, [OUTLIERS, 1 - OUTLIERS], axis=0)
    some = np.concatenate([inner, lines.reshape(-1, 2)])
    low, high = some.min(0), some.max(0)
    edge = 0.06 * (high - low) + 1e-6
    return low - edge, high + edge


def _alike(corners: list[tuple[np.ndarray, np.ndarray]]) -> bool:
    """Whether the spaces can be read on the same axes."""
    widths = [float(np.max(high - low)) for low, high in corners]
    return max(widths) <= ALIKE * min(widths)


def _not_two(request: PlotRequest) -> str:
    for run in (request.run, *request.others):
        size = run.config.model.latent_size
        if size != 2:
            return (
                "decodes the plane of codes of two numbers, and model.latent_size of "
                f"{run.workdir} is {size}; walks draws two principal components"
            )
    return ""


_spec = partial(
    PlotSpec, data=("images",), task="autoencoder", needs=always(("params",)), pairs=1
)
SPECS = {
    "sheet": _spec(draw_sheet, takes=("seed",), misfit=_not_two, pixels=True),
    "walks": _spec(draw_walks, num=always((1, MOST)), misfit=no_plane),
}
