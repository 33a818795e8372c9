"""The program of the article "1, 8, 4 from scratch" as its reader writes it in PyTorch.

`launch.bench step --config=mnist_linear --against=torch` starts it; needs torch.
"""

import itertools

import torch
from protocol import serve, torch_ready, torch_step
from torch import nn
from torch.nn import functional as F


class BasicUNet(nn.Module):
    def __init__(self, channels):
        super().__init__()
        widths = [channels, 32, 64, 64, 64, 32, channels]
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 5, padding=2) for a, b in itertools.pairwise(widths)
        )

    def forward(self, x):
        skips = []
        for i, conv in enumerate(self.convs):
            if i >= 4:
                x = F.interpolate(x, scale_factor=2) + skips.pop()
            x = F.silu(conv(x))
            if i < 2:
                skips.append(x)
                x = F.max_pool2d(x, 2)
        return x


def make(work):
    h, w, channels = work["shape"]
    model = BasicUNet(channels)
    model, device, arithmetic, facts = torch_ready(torch, model, work)
    shape = work["batch"], channels, h, w

    @torch.no_grad()
    def sample():
        x = torch.rand(shape, device=device)
        for i in range(work["steps"]):
            share = 1 / (work["steps"] - i)
            with arithmetic():
                x = x * (1 - share) + model(x) * share
        return x

    x0 = torch.rand(shape, device=device)

    def loss():
        t = torch.rand(shape[0], device=device)[:, None, None, None]
        with arithmetic():
            out = model(x0 * (1 - t) + torch.rand_like(x0) * t)
        return F.mse_loss(out.float(), x0)

    @torch.no_grad()
    def forward():
        with arithmetic():
            return model(x0)

    step = torch_step(torch, model, work, loss)
    return {"sample": sample, "forward": forward, "step": step}[work["what"]], facts


if __name__ == "__main__":
    serve(make)
