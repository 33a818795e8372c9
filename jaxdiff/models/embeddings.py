"""Embeddings: the time and the class label as vectors."""

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxdiff.arrays import Array, Float, Int, PyTree

__all__ = [
    "STYLES",
    "Conditioning",
    "check_style",
    "embedding_of",
    "expose",
    "fourier",
    "label_rows",
    "waves",
]

# "sin_cos" spaces the frequencies over half - 1, so the last is exactly 1 / max_period;
# "cos_sin" spaces them over half, so that frequency is never reached.
STYLES = ("sin_cos", "cos_sin")


def check_style(style: str) -> str:
    """Return `style` if it is one of STYLES.

    Errors: ValueError otherwise.
    """
    if style not in STYLES:
        raise ValueError(
            f"time_embedding must be one of {', '.join(STYLES)}, got {style=}"
        )
    return style


def fourier(
    t: Float[Array, "b"],
    dim: int,
    style: str = "sin_cos",
    max_period: float = 10_000.0,
) -> Float[Array, "b {dim}"]:
    """Sines and cosines of t at `dim / 2` geometrically spaced frequencies.

    w_k = max_period^(-k / n),   k = 0 ... half - 1,   half = dim / 2
    "sin_cos": n = half - 1, [sin(w t), cos(w t)]
    "cos_sin": n = half,     [cos(w t), sin(w t)]

    Args:    t: in any unit; w_0 = 1 radian per unit.
             dim: even and at least 4.  style: one of STYLES.
    Returns: f[b, dim].
    Source:  Ho et al. 2020, arXiv:2006.11239 (sin_cos); Dhariwal & Nichol 2021,
             arXiv:2105.05233 (cos_sin); both after arXiv:1706.03762, section 3.5.
    """
    half = dim // 2
    n = half - 1 if style == "sin_cos" else half
    w = jnp.exp(-math.log(max_period) / n * jnp.arange(half, dtype=jnp.float32))
    angle = t.astype(jnp.float32)[:, None] * w[None, :]  # (b, half)
    parts = (jnp.sin(angle), jnp.cos(angle))
    return jnp.concatenate(parts if style == "sin_cos" else parts[::-1], axis=-1)


def waves(
    v: Float[Array, "b"], dim: int, low: float = 1.0, high: float = 1000.0
) -> Float[Array, "b {dim}"]:
    """[sin(2 pi f v), cos(2 pi f v)] at dim / 2 frequencies f from low to high.

    Args:    v: about in [0, 1].  dim: even and at least 4.
             low, high: the first and last frequency, in periods per unit of v; they are
             spaced geometrically.
    Returns: f[b, dim].
    Source:  Keras example "Denoising Diffusion Implicit Models".
    """
    spaced = jnp.linspace(math.log(low), math.log(high), dim // 2, dtype=jnp.float32)
    angle = 2 * math.pi * jnp.exp(spaced)[None, :] * v.astype(jnp.float32)[:, None]
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)


def expose(network: nn.Module, emb: Float[Array, "b e"]) -> None:
    """Called by a network that embeds the time, so that `embedding_of` can read it.

    Otherwise this does nothing: neither parameters nor the output depend on it.
    """
    network.sow("intermediates", "emb", emb)


def embedding_of(
    network: Any,
    params: PyTree,
    x: Float[Array, "b ..."],
    t: Float[Array, "b"],
    cond: PyTree = None,
) -> Float[Array, "b e"] | None:
    """The vector in which a network has the time and, if it takes one, the condition.

    Args:    network, params: of jaxdiff.models.  x, t, cond: as the network is called.
             Under jit, nothing is computed that the vector does not need.
    Returns: f32[b, e]; None for a network that exposes none.
    """
    if not isinstance(network, nn.Module):
        return None
    variables: Any = {"params": params}
    state: Any = network.apply(variables, x, t, cond, mutable="intermediates")[1]
    values = state.get("intermediates", {}).get("emb", (None,))
    return None if values[0] is None else values[0].astype(jnp.float32)


class Conditioning(nn.Module):
    """One vector for the time t and, if there are classes, the label.

    emb = W2 swish(W1 fourier(t)) + table[cond],   f32[b, 4 channels]

    The table has `num_classes` rows. With `null_class` it has one more, row
    `num_classes`, which means "no label": it is used if `cond` is None, and may be
    given like any other label. Without classes, `cond` is ignored. A label outside the
    table gives NaN, not the row of another label.
    """

    channels: int
    num_classes: int = 0
    null_class: bool = False
    style: str = "sin_cos"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, t: Float[Array, "b"], cond: Int[Array, "b"] | None = None
    ) -> Float[Array, "b e"]:
        width = 4 * self.channels
        emb = fourier(t, self.channels, self.style)  # (b, channels)
        emb = nn.Dense(width, dtype=self.dtype, name="time_in")(emb)
        emb = nn.Dense(width, dtype=self.dtype, name="time_out")(nn.silu(emb))
        if self.num_classes == 0:
            return emb  # (b, e)
        rows = label_rows(cond, len(t), self.num_classes, self.null_class)
        table = nn.Embed(
            self.num_classes + self.null_class,
            width,
            embedding_init=nn.initializers.normal(1.0),
            dtype=self.dtype,
            name="label",
        )
        return emb + table(rows)  # (b, e)


def label_rows(
    labels: Int[Array, "b"] | None, b: int, num_classes: int, null_class: bool
) -> Int[Array, "b"]:
    """The row of the label table for each example; None gives the "no label" row.

    Errors: ValueError for None if the table has no such row.
    """
    if labels is not None:
        return labels
    if not null_class:
        raise ValueError(
            f"a network of {num_classes=} needs a label, got {labels=}; pass labels, "
            "or build it with null_class=True"
        )
    return jnp.full(b, num_classes, jnp.int32)
