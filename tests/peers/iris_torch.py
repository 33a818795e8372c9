"""The tabular model of `configs/iris.py` as an article's reader writes it in PyTorch.

python tests/peers/iris_torch.py OUT.npz SEED        (needs torch and scikit-learn)

Prints one JSON line, the seconds to train and to sample, and saves the 150 generated
rows (standardised). `launch.bench iris` measures jaxdiff against it.
"""

import itertools
import json
import math
import sys
import time

import numpy as np
import torch
from sklearn.datasets import load_iris
from torch import nn

STEPS, EPOCHS, HIDDEN, COLUMNS = 1000, 5000, 64, 7
GAIN, SHIFT, STOP = 6.0, 0.5, 0.99996


def sigma2(t):
    """Noise variance of time t in [0, 1]: a sigmoid, stretched to start at 0."""
    y0, y, y1 = (
        torch.sigmoid(GAIN * ((2 * u - 1) + SHIFT))
        for u in (torch.zeros_like(t), t, torch.ones_like(t))
    )
    return STOP * (y - y0) / (y1 - y0)


class Block(nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, HIDDEN),
            nn.LayerNorm(HIDDEN),
            nn.SiLU(),
            nn.Linear(HIDDEN, HIDDEN),
        )

    def forward(self, x):
        return self.layers(x)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.time = nn.Sequential(
            nn.Linear(HIDDEN, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, HIDDEN)
        )
        self.enter = Block(COLUMNS)
        self.blocks = nn.ModuleList([Block(HIDDEN) for _ in range(3)])
        self.leave = nn.Linear(HIDDEN, COLUMNS)
        half = HIDDEN // 2
        self.register_buffer(
            "freqs", torch.exp(-torch.arange(half) * math.log(10000) / (half - 1))
        )

    def forward(self, x, t):
        angles = t[:, None] * self.freqs[None]
        h = self.enter(x) + self.time(torch.cat([angles.sin(), angles.cos()], 1))
        for block in self.blocks:
            h = h + block(h)
        return self.leave(h)


def train(data):
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.01)
    for _ in range(EPOCHS):
        t = 1 - torch.rand(len(data))
        noise = torch.randn_like(data)
        var = sigma2(t)[:, None]
        guess = model((1 - var).sqrt() * data + var.sqrt() * noise, t)
        loss = nn.functional.mse_loss(guess, noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


@torch.no_grad()
def sample(model, rows):
    times = torch.linspace(1, 0, STEPS + 1)
    x = torch.randn(rows, COLUMNS)
    for t, s in itertools.pairwise(times):
        var_t, var_s = sigma2(t), sigma2(s)
        keep = ((1 - var_t) / (1 - var_s)).sqrt()
        added = var_t - keep**2 * var_s
        eps = model(x, t.expand(rows))
        x0 = (x - var_t.sqrt() * eps) / (1 - var_t).sqrt()
        mean = (keep * var_s * x + (1 - var_s).sqrt() * added * x0) / var_t
        x = mean + (added * var_s / var_t).clamp(min=0).sqrt() * torch.randn_like(x)
    return x


def main():
    out, seed = sys.argv[1], int(sys.argv[2])
    torch.manual_seed(seed)
    iris = load_iris()
    raw = np.concatenate([iris.data, np.eye(3)[iris.target]], 1)
    mean, std = raw.mean(0), raw.std(0)
    data = torch.tensor((raw - mean) / std, dtype=torch.float32)
    start = time.perf_counter()
    model = train(data)
    middle = time.perf_counter()
    rows = sample(model, len(data)).numpy()
    end = time.perf_counter()
    np.savez(out, x=rows)
    print(json.dumps({"train": middle - start, "sample": end - middle}))


if __name__ == "__main__":
    main()
