"""How near codes are to the unit normal, and how near images are to real ones."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import scipy


class Codes(NamedTuple):
    """Codes of n images, flat; a variational encoder gives each a normal.

    mean: f[n, d].  var: f[n, d], None for a plain encoder.  labels: i32[n] or None
    """

    mean: np.ndarray
    var: np.ndarray | None
    labels: np.ndarray | None

    @property
    def kl(self) -> float:
        """KL to N(0, I) of the normal fitted to the aggregate posterior, nats."""
        return kl_to_standard(*aggregate(self.mean, self.var))

    @property
    def plane(self) -> np.ndarray:
        """f[n, 2]: the two numbers, or the first two principal components of more."""
        return self.project(self.mean)

    @property
    def axes(self) -> tuple[str, str]:
        """The names of the two numbers of `plane`."""
        name = "z" if self.mean.shape[1] == 2 else "principal component"
        return f"{name} 1", f"{name} 2"

    def project(self, z: np.ndarray) -> np.ndarray:
        """f[..., d] to f[..., 2], into the plane."""
        if self.mean.shape[1] == 2:
            return z
        centre = self.mean.mean(0)
        axes = np.linalg.svd(self.mean - centre, full_matrices=False)[2][:2]
        return (z - centre) @ axes.T


def empty(codes: np.ndarray, z: np.ndarray, share: float = 0.01) -> np.ndarray:
    """Which of z f[..., d] are where there are no codes f[n, d], bool[...]; n >= 2.

    Farther from the nearest of one half of the codes than all but a share of the other
    half are. Neither the units of a latent space nor its size matter, so two spaces can
    be compared.
    """
    half = np.array_split(codes, 2)
    reach = np.quantile(nearest(half[1], [half[0]]), 1 - share)
    flat = z.reshape(-1, z.shape[-1])
    return (nearest(flat, [half[0]]) > reach).reshape(z.shape[:-1])


def relative_density(codes: np.ndarray, z: np.ndarray) -> np.ndarray:
    """log p(z) less the mean log p of the codes f[n, d], in nats, f[...] for f[..., d].

    By distances to the nearest of one half of the codes, p ~ r^-d, so that units and
    size of a latent space do not matter; n >= 2.
    """
    half, tiny = np.array_split(codes, 2), np.finfo(np.float64).tiny
    flat = z.reshape(-1, z.shape[-1])
    there, here = (
        np.log(np.maximum(nearest(x, [half[0]]), tiny)) for x in (half[1], flat)
    )
    return (z.shape[-1] * (there.mean() - here)).reshape(z.shape[:-1])


def density_map(
    points: np.ndarray, low: np.ndarray, high: np.ndarray, cells: int = 80
) -> np.ndarray:
    """The density f[cells, cells] of points f[n, 2], smoothed over about a cell.

    Rows rise with the second number. low, high: f[2], the corners.
    """
    ends = [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    counts = np.histogram2d(points[:, 0], points[:, 1], cells, ends)[0].T
    area = np.prod((high - low) / cells)
    return scipy.ndimage.gaussian_filter(counts / (len(points) * area), 1.0)


def aggregate(
    mean: np.ndarray, var: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean f[d] and covariance f[d, d] of the mixture of N(mean_i, var_i) over i.

    m = avg mean_i,   S = avg (mean_i - m)(mean_i - m)' + diag(avg var_i)

    Args: mean: codes f[n, d].  var: their variances f[n, d]; None is 0.
    """
    mean = np.asarray(mean, np.float64)
    m = mean.mean(0)
    off = mean - m
    cov = off.T @ off / len(mean)
    return m, cov if var is None else cov + np.diag(np.mean(var, 0, dtype=np.float64))


def kl_to_standard(mean: np.ndarray, cov: np.ndarray) -> float:
    """KL(N(mean, cov) || N(0, I)) in nats, for f[d] and f[d, d].

    (tr cov + mean' mean - d - log det cov) / 2; infinite for a degenerate covariance.
    """
    sign, log_det = np.linalg.slogdet(cov)
    if sign <= 0:
        return float("inf")
    return float((np.trace(cov) + mean @ mean - len(mean) - log_det) / 2)


def nearest(x: np.ndarray, parts: Iterable[np.ndarray]) -> np.ndarray:
    """Euclidean distance of each x f[n, d] to the nearest row of any part f[m, d]."""
    return k_nearest(x, parts, 1)[0][:, 0]


def k_nearest(
    x: np.ndarray, parts: Iterable[np.ndarray], k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Euclidean distances of each x f[n, d] to its k nearest rows of all parts f[m, d],
    in rising order, f[n, k]; which rows these are, counted over all parts, i64[n, k].

    Parts are held in memory one at a time. With fewer than k rows, distances are inf.
    """
    best, rows = np.full((len(x), k), np.inf), np.zeros((len(x), k), int)
    start = 0
    for part in parts:
        # |x - p|^2 without |x|^2 finds the nearest rows; their distances are then exact
        order = (part**2).sum(1)[None] - 2 * x @ part.T
        few = min(k, len(part))
        near = np.argpartition(order, few - 1, axis=1)[:, :few]
        exact = np.linalg.norm(x[:, None] - part[near], axis=2)
        both, which = np.hstack([best, exact]), np.hstack([rows, near + start])
        kept = np.argsort(both, axis=1, kind="stable")[:, :k]
        best, rows = (np.take_along_axis(a, kept, 1) for a in (both, which))
        start += len(part)
    return best, rows
