"""A network of images that takes time and label, and compiles in a moment.

What a run does with a network is not the network's business: tests of runs name this
one, `model.name=speck`, where another would only take longer.
"""

import flax.linen as nn
import jax.numpy as jnp

from jaxdiff.models.embeddings import expose, fourier


class Speck(nn.Module):
    """out = conv3(swish(conv3(x) + dense(fourier(t)) + table[cond]))."""

    out_channels: int
    num_classes: int
    null_class: bool

    @nn.compact
    def __call__(self, x, t, cond=None, *, train=False):
        del train
        e = nn.Dense(8, name="time")(fourier(t, 8))
        if self.num_classes:
            if cond is None:
                cond = jnp.full(t.shape, self.num_classes, jnp.int32)
            e = e + nn.Embed(self.num_classes + self.null_class, 8, name="label")(cond)
        expose(self, e)
        h = nn.Conv(8, (3, 3), name="stem")(x) + e[:, None, None, :]
        last = nn.Conv(
            self.out_channels, (3, 3), kernel_init=nn.initializers.zeros, name="out"
        )
        return last(nn.silu(h))


def make(
    *,
    shape,
    num_classes=0,
    null_class=False,
    extra_channels=0,
    learned_variance=False,
):
    del extra_channels  # beside those of x: convolutions count them themselves
    return Speck(shape[-1] * (1 + learned_variance), num_classes, null_class)
