"""The Keras-style DDIM in Keras 3 on JAX, as its reader writes it; needs keras.

`launch.bench step --config=fashion_ddim --against=keras` starts it.
"""

import math
import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
from keras import layers, ops
from protocol import serve

LOW, HIGH = 0.02, 0.95


def embed(v):
    frequencies = ops.exp(ops.linspace(0.0, math.log(1000.0), 16))
    angles = 2 * math.pi * frequencies * v
    return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=3)


def block(width):
    def apply(x):
        skip = x if x.shape[3] == width else layers.Conv2D(width, 1)(x)
        x = layers.BatchNormalization(center=False, scale=False)(x)
        x = layers.Conv2D(width, 3, padding="same", activation="swish")(x)
        x = layers.Conv2D(width, 3, padding="same")(x)
        return layers.Add()([x, skip])

    return apply


def network(shape, widths, depth):
    image, variance = keras.Input(shape), keras.Input((1, 1, 1))
    e = layers.Lambda(embed, output_shape=(1, 1, 32))(variance)
    e = layers.UpSampling2D(shape[:2], interpolation="nearest")(e)
    x = layers.Concatenate()([layers.Conv2D(widths[0], 1)(image), e])
    skips = []
    for width in widths[:-1]:
        for _ in range(depth):
            x = block(width)(x)
            skips.append(x)
        x = layers.AveragePooling2D(2)(x)
    for _ in range(depth):
        x = block(widths[-1])(x)
    for width in reversed(widths[:-1]):
        x = layers.UpSampling2D(2, interpolation="bilinear")(x)
        for _ in range(depth):
            x = block(width)(layers.Concatenate()([x, skips.pop()]))
    x = layers.Conv2D(shape[-1], 1, kernel_initializer="zeros")(x)
    return keras.Model([image, variance], x)


def rates(t):
    start, end = math.acos(HIGH), math.acos(LOW)
    angle = start + t * (end - start)
    return ops.cos(angle), ops.sin(angle)


class Diffusion(keras.Model):
    """fit's own training step on a loss of noisy images."""

    def __init__(self, net, batch):
        super().__init__()
        self.net, self.batch = net, batch
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, x0, training=False):
        t = keras.random.uniform((self.batch, 1, 1, 1), seed=self.seeds)
        eps = keras.random.normal(ops.shape(x0), seed=self.seeds)
        alpha, sigma = rates(t)
        out = self.net([alpha * x0 + sigma * eps, sigma**2], training=training)
        return ops.abs(out - eps)

    def compute_loss(self, x=None, y=None, y_pred=None, *others, **named):
        return ops.mean(y_pred)


def make(work):
    shape, batch = work["shape"], work["batch"]
    widths = [int(work["channels"] * m) for m in work["multipliers"]]
    net = network(shape, widths, work["num_blocks"])
    facts = {
        "program": f"keras {keras.__version__}, jax {jax.__version__}",
        "parameters": int(sum(np.prod(w.shape) for w in net.trainable_weights)),
        "threads": os.cpu_count(),
        "dtype": "float32",
    }
    x0 = np.random.default_rng(0).normal(size=(batch, *shape)).astype(np.float32)
    if work["what"] == "step":
        model = Diffusion(net, batch)
        averages = {"use_ema": True, "ema_momentum": 0.999} if work["averages"] else {}
        clip = {"global_clipnorm": work["clip_norm"]} if work["clip_norm"] else {}
        adam = keras.optimizers.AdamW(work["lr"], weight_decay=1e-4, **averages, **clip)
        model.compile(optimizer=adam, jit_compile=True)
        return lambda: model.train_on_batch(x0, x0), facts
    if work["what"] == "forward":
        v = np.full((batch, 1, 1, 1), 0.5, np.float32)
        return lambda: net.predict_on_batch([x0, v]), facts

    def sample():
        x, steps = x0, work["steps"]
        for i in range(steps):
            (a, s), (a1, s1) = (rates(1 - j / steps) for j in (i, i + 1))
            v = np.full((batch, 1, 1, 1), s**2, np.float32)
            eps = net.predict_on_batch([x, v])
            x0_hat = (x - s * eps) / a
            x = a1 * x0_hat + s1 * eps
        return x0_hat

    return sample, facts


if __name__ == "__main__":
    serve(make)
