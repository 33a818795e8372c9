"""A residual perceptron for the rows of a table."""

import flax.linen as nn

from jaxdiff.arrays import Array, Float, Int
from jaxdiff.models.embeddings import expose, fourier, label_rows
from jaxdiff.models.inits import fan_in_uniform

__all__ = ["MLP", "make"]


def linear(x: Float[Array, "b d"], features: int, name: str) -> nn.Dense:
    """A linear layer for x with PyTorch's initialisation."""
    init = fan_in_uniform(x.shape[-1])
    return nn.Dense(features, kernel_init=init, bias_init=init, name=name)


class MLP(nn.Module):
    """A residual perceptron; t and the label are added once, after the input layers.

    F(x) = L swish(norm(L x))
    e = L gelu(L fourier(t)) [+ table[cond]]
    h = F(x) + e;   h = h + F(h), `num_blocks` times;   out = L h

    L:       linear with bias, initialised as in PyTorch, as in the published program
    norm:    layer norm over `hidden`, epsilon 1e-5
    gelu:    the exact one, x Phi(x)
    fourier: sin_cos of t, not rescaled; in [0, 1] only the first few frequencies vary
    table:   `num_classes` rows; with `null_class` one more, which means "no label"
    """

    columns: int
    hidden: int = 64
    num_blocks: int = 3
    num_classes: int = 0
    null_class: bool = False

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b d"],
        t: Float[Array, "b"],
        cond: Int[Array, "b"] | None = None,
        *,
        train: bool = False,
    ) -> Float[Array, "b {self.columns}"]:
        del train
        e = fourier(t, self.hidden)  # (b, hidden)
        e = nn.gelu(linear(e, self.hidden, "time_in")(e), approximate=False)
        e = linear(e, self.hidden, "time_out")(e)  # (b, hidden)
        if self.num_classes > 0:
            rows = label_rows(cond, len(t), self.num_classes, self.null_class)
            size = self.num_classes + self.null_class
            e = e + nn.Embed(size, self.hidden, name="label")(rows)
        expose(self, e)

        def two_layers(x, name):
            y = linear(x, self.hidden, f"{name}_in")(x)
            y = nn.silu(nn.LayerNorm(epsilon=1e-5, name=f"{name}_norm")(y))
            return linear(y, self.hidden, f"{name}_out")(y)  # (b, hidden)

        h = two_layers(x, "input") + e
        for i in range(self.num_blocks):
            h = h + two_layers(h, f"block_{i}")
        return linear(h, self.columns, "out")(h)  # (b, columns)


def make(
    *,
    shape: tuple[int, ...],
    num_classes: int = 0,
    hidden: int = 64,
    num_blocks: int = 3,
    null_class: bool = False,
) -> MLP:
    """Build an MLP for rows of `shape` (columns,).

    Args:    hidden: width of the layers, and of the embedding of t.
             num_blocks: residual blocks.  num_classes: 0 without labels.
             null_class: the label table has one more row, for "no label".
    Returns: MLP, f(x f32[b, columns], t f32[b], cond i32[b]) -> f32[b, columns].
    Errors:  ValueError for another shape, an odd `hidden` or one below 4, negative
             numbers, or a null class without classes.
    """
    shape = tuple(shape)
    if len(shape) != 1:
        raise ValueError(
            f"an mlp needs rows (columns,), got {shape=}; use unet for images"
        )
    if hidden < 4 or hidden % 2:
        raise ValueError(f"hidden must be even and at least 4, got {hidden=}")
    if num_blocks < 0 or num_classes < 0:
        raise ValueError(
            "num_blocks and num_classes cannot be negative, got "
            f"{num_blocks=}, {num_classes=}"
        )
    if null_class and num_classes == 0:
        raise ValueError(
            f"null_class needs classes beside it, got {num_classes=}; set "
            "null_class=False or use data with labels"
        )
    return MLP(shape[0], hidden, num_blocks, num_classes, null_class)
