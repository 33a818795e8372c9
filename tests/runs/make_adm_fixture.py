"""Samples as ADM does, by its published formulas in numpy, and writes adm.npz here.

    python tests/runs/make_adm_fixture.py

The chain has the entries KEPT of DDPM's table of 1,000 linear betas. Model, classifier
and noise are those of `model`, `gradient` and `noise`. Each array NAME holds x before
the first step and after each, f64[n + 1, 2, 2, 2, 1].

For every step, from the noisiest: x0 of the model's eps, clipped to [-1, 1]; then
"ddim": eps of that x0, less sqrt(1 - alpha_bar) scale gradient, and DDIM's move with
        this eps and its x0, which is not clipped again (algorithm 2);
"ddpm": the mean of q(x_before | x, x0), plus variance scale gradient, plus noise in
        every step but the last (algorithm 1). The variance is the model's: "small" is
        beta_tilde, 0 in the last step; "large" is beta, in the last step beta_tilde of
        the step before; "learned" lies between log beta_tilde, in the last step that of
        the step before, and log beta.
Source: Dhariwal & Nichol 2021, arXiv:2105.05233; Nichol & Dhariwal 2021,
arXiv:2102.09672, section 3.1, and the code released with them.
"""

import pathlib

import numpy as np

KEPT = np.array([0, 3, 40, 200, 500, 999])
SHAPE, CLASSES, SCALE = (2, 2, 2, 1), 3, 2.5
LABELS = np.array([2, 0])
BARS = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
GEN = np.random.default_rng(0)
WEIGHTS = GEN.normal(size=(4, CLASSES))
NOISE = GEN.normal(size=(len(KEPT) + 1, *SHAPE))


def model(x, entry):
    """eps, and the v of the learned variance in [-1, 1]."""
    return 1.5 * np.sin(x * (1 + entry / 500)), np.cos(2 * x)


def gradient(x, entry):
    """Of log p(label | x) by a softmax of x WEIGHTS (1 + entry / 1000)."""
    weights = WEIGHTS * (1 + entry / 1000)
    logits = x.reshape(len(x), -1) @ weights
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return ((np.eye(CLASSES)[LABELS] - shares) @ weights.T).reshape(x.shape)


def tables():
    bar = BARS[KEPT]
    before = np.append(1.0, bar[:-1])
    beta = 1 - bar / before
    small = beta * (1 - before) / (1 - bar)
    return bar, before, beta, small


def ddim(x, k, z):
    del z
    bar, before, _, _ = (table[k] for table in tables())
    eps, _ = model(x, KEPT[k])
    x0 = np.clip((x - np.sqrt(1 - bar) * eps) / np.sqrt(bar), -1, 1)
    eps = (x - np.sqrt(bar) * x0) / np.sqrt(1 - bar)
    eps = eps - np.sqrt(1 - bar) * SCALE * gradient(x, KEPT[k])
    x0 = (x - np.sqrt(1 - bar) * eps) / np.sqrt(bar)
    return np.sqrt(before) * x0 + np.sqrt(1 - before) * eps


def ddpm(x, k, z, kind):
    _, _, betas, smalls = tables()
    bar, before, beta, small = (table[k] for table in tables())
    clipped = np.append(smalls[1], smalls[1:])[k]
    eps, v = model(x, KEPT[k])
    x0 = np.clip((x - np.sqrt(1 - bar) * eps) / np.sqrt(bar), -1, 1)
    mean = np.sqrt(before) * beta / (1 - bar) * x0
    mean = mean + np.sqrt(1 - beta) * (1 - before) / (1 - bar) * x
    share = (v + 1) / 2
    variance = {
        "small": small,
        "large": np.append(smalls[1], betas[1:])[k],
        "learned": np.exp(share * np.log(beta) + (1 - share) * np.log(clipped)),
    }[kind]
    mean = mean + variance * SCALE * gradient(x, KEPT[k])
    return mean + (np.sqrt(variance) * z if k else 0)


def path(step, *kind):
    x = [NOISE[-1]]
    for k in reversed(range(len(KEPT))):
        x.append(step(x[-1], k, NOISE[k], *kind))
    return np.stack(x)


def main():
    arrays = {f"ddpm {kind}": path(ddpm, kind) for kind in ("small", "large")}
    arrays |= {"ddpm learned": path(ddpm, "learned"), "ddim": path(ddim)}
    np.savez_compressed(pathlib.Path(__file__).parent / "adm.npz", **arrays)


if __name__ == "__main__":
    main()
