"""The pictures of an autoencoder's run: its codes, and what is decoded from them."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff.data.batches import permutation
from jaxdiff.metrics import latents
from jaxdiff.plots import pictures
from jaxdiff.plots.latents import save_codes
from jaxdiff.runs.plot.spec import FEW, MOST, Kind, Scene, real_images, save_figures
from jaxdiff.runs.train import preview
from jaxdiff.tasks.autoencoder import Coder

# Images whose codes are drawn and measured; pairs whose middles are; images coded or
# compared at once.
MANY, PAIRS, CHUNK = 10_000, 200, 1000
# The places of a strip between two images.
PLACES = np.linspace(0.0, 1.0, 5, dtype=np.float32)
# Images in a row of reconstructions.
ACROSS = 10


class Codes(NamedTuple):
    """mean f32[n, d], flat;  var the same, None if plain;  labels i32[n] or None."""

    mean: np.ndarray
    var: np.ndarray | None
    labels: np.ndarray | None

    @property
    def kl(self) -> float:
        """KL to N(0, I) of the normal fitted to the aggregate posterior, nats."""
        return latents.kl_to_standard(*latents.aggregate(self.mean, self.var))

    @property
    def plane(self) -> np.ndarray:
        """f[n, 2]: the two numbers, or the first two principal components of more."""
        if self.mean.shape[1] == 2:
            return self.mean
        off = self.mean - self.mean.mean(0)
        return off @ np.linalg.svd(off, full_matrices=False)[2][:2].T


def codes(scene: Scene) -> Codes:
    """Of scene.num or MANY images that the seed chooses."""
    index = permutation(scene.seed, 0, len(scene.source))[: scene.num or MANY]
    means, variances, labels = [], [], []
    for part in np.array_split(index, -(-len(index) // CHUNK)):
        batch = scene.source[part]
        mean, log_var = _encode(coder_of(scene), batch["x"])
        means.append(np.asarray(mean).reshape(len(part), -1))
        if log_var is not None:
            variances.append(np.exp(log_var).reshape(len(part), -1))
        labels.append(batch.get("label"))
    return Codes(
        np.concatenate(means),
        np.concatenate(variances) if variances else None,
        None if labels[0] is None else np.concatenate(labels),
    )


def image_pairs(scene: Scene, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Up to num pairs of images of different classes f32[n, h, w, c], by the seed."""
    size = len(scene.source)
    first, second = np.array_split(permutation(scene.seed, 1, size)[: 4 * num], 2)
    first = first[: len(second)]
    one, other = scene.source[first], scene.source[second]
    differ = one["label"] != other["label"] if "label" in one else slice(None)
    return one["x"][differ][:num], other["x"][differ][:num]


def interpolated(scene: Scene, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """f32[n, 5, h, w, c]: decoded at PLACES of the straight line between two codes."""
    coder = coder_of(scene)
    (start, _), (end, _) = _encode(coder, a), _encode(coder, b)
    walk = [_decode(coder, start + place * (end - start)) for place in PLACES]
    return np.stack(walk, 1)


def distances(scene: Scene) -> np.ndarray:
    """f[n, 5]: at PLACES of n interpolations, how far the nearest real image is.

    Euclidean, in model units: black and white pixels are 2 apart if data.low is -1.
    """
    walks = interpolated(scene, *image_pairs(scene, PAIRS))
    parts = np.array_split(np.arange(len(scene.source)), -(-len(scene.source) // CHUNK))
    real = (scene.source[part]["x"].reshape(len(part), -1) for part in parts)
    flat = walks.reshape(-1, int(np.prod(scene.source.shape)))
    return latents.nearest(flat, real).reshape(walks.shape[:2])


def draw_latents(scene: Scene, path: Path) -> None:
    """The codes of many images, coloured by class; their distance from N(0, I)."""
    panels, names, figures = {}, np.array([""]), {}
    for one in scenes(scene):
        found = codes(one)
        said = f"KL to N(0, I) {found.kl:.3g} nats"
        panels[f"{title(one)}: {said}"] = found.plane
        print(f"{one.workdir}: {said}, normal fitted to {len(found.mean):,} codes")
        figures[str(one.workdir)] = {"kl": float(found.kl), "codes": len(found.mean)}
        names = np.full(len(found.mean), "")
        if found.labels is not None:
            names = np.array(one.source.class_names)[found.labels]
    flat = scene.config.model.latent_size == 2
    axes = ("z 1", "z 2") if flat else ("principal component 1", "2")
    save_codes(path, panels, names, axes_names=axes)
    save_figures(path, figures)


def draw_interpolation(scene: Scene, path: Path) -> None:
    """Strips from image to image through the latent space; two runs side by side.

    Two runs draw the same pairs, of whose middles it says how much nearer to the data
    the second run's are: how hard a pair is cancels.
    """
    a, b = image_pairs(scene, min(scene.num or FEW, MOST))
    parts, columns, titles, middles, figures = [], [], [], [], {}
    for one in scenes(scene):
        far = distances(one)
        middles.append(far[:, len(PLACES) // 2])
        (middle, error), ends = mean_and_error(middles[-1]), far[:, [0, -1]].mean()
        said = (
            f"nearest real image {middle:.2f} ± {error:.2f} away in the middle, "
            f"{ends:.2f} at the ends"
        )
        figures[str(one.workdir)] = {
            "middle": middle,
            "middle_error": error,
            "ends": float(ends),
            "pairs": len(far),
        }
        titles.append(f"{title(one)}: {said}")
        print(f"{one.workdir}: {said}, of {len(far)} pairs")
        if parts:
            parts.append(np.full((len(a), 1, *a.shape[1:]), 255, np.uint8))
            columns.append("")
        walk = np.concatenate([a[:, None], interpolated(one, a, b), b[:, None]], 1)
        parts.append(scene.pixels(walk))
        columns += ["image", *(f"{place:g}" for place in PLACES), "image"]
    if scene.beside:
        gain, error = mean_and_error(middles[0] - middles[1])
        print(f"in the middle the second run is nearer by {gain:.2f} ± {error:.2f}")
        figures |= {"nearer_by": gain, "nearer_by_error": error}
    strips = np.concatenate(parts, 1)
    rows = {str(i + 1): strip for i, strip in enumerate(strips)}
    pictures.save_rows(path, rows, columns=columns, title="\n".join(titles))
    save_figures(path, figures)


def draw_reconstructions(scene: Scene, path: Path) -> None:
    """Images, and below them what is decoded from their codes."""
    x, labels, _ = real_images(scene, ACROSS, 2 * ACROSS)
    again = _decode(coder_of(scene), _encode(coder_of(scene), x)[0])
    names = scene.source.class_names
    pictures.save_rows(
        path,
        {"image": scene.pixels(x), "decoded": scene.pixels(again)},
        columns=() if labels is None else [names[k] for k in labels],
        title=f"reconstructions: {title(scene)}",
    )


def draw_decoded(scene: Scene, path: Path) -> None:
    """What is decoded from draws of N(0, I): samples, where codes are so spread."""
    coder, num = coder_of(scene), scene.num or 64
    like, _ = _encode(coder, scene.source[np.arange(1)]["x"])
    x = preview.decode(coder, like, scene.keys(np.arange(num)))
    pictures.save_grid(path, scene.pixels(x))


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """The mean and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5)


def scenes(scene: Scene) -> list[Scene]:
    """The run, and the one beside it if there is one."""
    return [scene, scene.beside] if scene.beside else [scene]


def title(scene: Scene) -> str:
    """How a run is called: its kind, its folder."""
    weight = scene.config.autoencoder.kl_weight
    kind = f"variational, KL weight {weight:g}" if weight else "plain"
    return f"{scene.workdir.name if scene.workdir else ''} ({kind})"


def no_plane(scene: Scene) -> str:
    """For kinds that lay codes on a plane."""
    single = scene.config.model.latent_size == 1
    return "is a plane, and the codes have one number only" if single else ""


def coder_of(scene: Scene) -> Coder:
    return scene.trained.task.model(scene.trained.params)


@jax.jit
def _encode(coder, x):
    return coder.encode(jnp.asarray(x))


@jax.jit
def _decode(coder, z):
    return coder.decode(z)


made = partial(Kind, data=("images",), trained=True, task="autoencoder")
KINDS = {
    "latents": made(draw_latents, pairs=True, misfit=no_plane),
    "interpolation": made(draw_interpolation, pairs=True),
    "reconstructions": made(draw_reconstructions),
    "decoded": made(draw_decoded),
}
