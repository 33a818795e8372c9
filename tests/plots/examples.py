"""An example of every kind of figure, with long and foreign names."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from jaxdiff.plots import (
    bands,
    conditionals,
    curves,
    densities,
    growth,
    latents,
    losses,
    maps,
    neighbours,
    pictures,
    planes,
    shares,
    sheets,
    signed,
    stacks,
    sweeps,
    walks,
)
from jaxdiff.plots import tables as pair_plots

RNG = np.random.default_rng(0)
CLASSES = ["Ankle boot", "T-shirt/top", "größe", "50$ or 60$", "Bag", "Sandal"]
SOLVERS = ["ddim", "dpmpp_2m_sde", "euler_ancestral", "unipc", "restart", "deis"]
X = np.geomspace(5, 100, 5)


def images(*shape: int, channels: int = 1) -> np.ndarray:
    return RNG.integers(0, 255, (*shape, 8, 8, channels), np.uint8)


def falling(scale: float) -> tuple[np.ndarray, ...]:
    return X, scale * X**-1.0 + 0.1


def table(n: int) -> dict[str, np.ndarray]:
    numbers = RNG.normal(5, 1, (4, n)).round(1)
    names = "sepal length (cm)", "sepal width (cm)", "petal length (cm)", "$_x^2"
    classes = np.array(["setosa", "versicolor", "virginica"])[np.arange(n) % 3]
    return {**dict(zip(names, numbers, strict=True)), "class": classes}


TIMES = [f"t = {t:.2g}" for t in np.linspace(0, 1, 11)]
GRIDS = [
    {"grid": g, "steps": n, "error": 0.1 * n, "times": np.linspace(0, 1, n + 1)}
    for n in (5, 10)
    for g in ("uniform", "log_snr", "karras", "exponential", "fitted")
]
SHEETS = [
    sheets.Sheet(name, images(60), np.arange(60) % 6)
    for name in ("real data", "a_rather_long_folder\nFréchet 12.34")
]
MAPS = [np.outer(np.hanning(16), np.hanning(16))] * 4
T = np.linspace(0, 1, 50)
PARTS = np.cos(T * 1.5), np.sin(T * 1.5), np.cos(T * 1.5) ** 2, 10 - 20 * T
SCHEDULE = dict(zip(("alpha", "sigma", "share", "log_snr"), PARTS, strict=True))
SCHEDULES = {f"{name}, scaled up": SCHEDULE for name in SOLVERS}
STEPS = np.arange(100, 3000, 100)
NOISE = [f"log-SNR {k} to {k + 5}" for k in range(-15, 15, 5)]
LOSSES = {
    "training": (STEPS, 40.0 / STEPS),
    "validation": (STEPS, 50.0 / STEPS),
    **{name: (STEPS, (30.0 + k) / STEPS) for k, name in enumerate(NOISE)},
}
NETS = ["one network", "2 networks", "one, 2 times as long", "2 networks, 2 times"]
WAVES = {name: (T, np.exp(-i * T), 0 * T + 0.1) for i, name in enumerate(CLASSES[:2])}
WALK = np.cumsum(RNG.normal(0, 0.05, (101, 300, 2)), 0)
SWEPT = {
    "training loss (lower is better)": 1.0,
    "Fréchet distance (lower is better)": 30.0,
    "label accuracy (higher is better)": 0.1,
}
CHANGES = ["base", "loss: log-SNR", "schedule: cosine", "a_rather_long_name_of_all"]
SPACE = neighbours.Space(
    images(6, 3),
    np.linspace(0.01, 0.3, 18).reshape(6, 3),
    {"held-out images": RNG.random(300), "samples": RNG.random(100)},
    threshold=0.1,
    unit="RMS, white is 1",
    title="100 ± 0 % of samples are nearer than the nearest 5 % of held-out images "
    "(p = 1.2e-100):\ncopies, the run memorises",
)
EXAMPLES: dict[str, Callable[[Path], None]] = {
    "losses.save_losses": partial(
        losses.save_losses,
        runs={"": LOSSES},
        name="squared error of velocity, min_snr weight + bound",
    ),
    "curves.save_lines": partial(
        curves.save_lines,
        named={
            "classifier, model without label": (*falling(1.0), 0.1 + 0 * X),
            "classifier, model with label": falling(2.0),
            "classifier-free": falling(3.0),
        },
        xlabel="guidance scale",
        ylabel="label accuracy (higher is better)",
        title="500 samples each, by a classifier that does not guide",
    ),
    "curves.save_panels": partial(
        curves.save_panels,
        panels={
            title: {
                name: (falling(1.0 + i)[1], X, 0.03 * X)
                for i, name in enumerate(SOLVERS)
            }
            for title in (
                "order 1",
                "order 2",
                "order 3 and 4",
                "with noise on the way",
            )
        },
        xlabels=("NFE", "ms per sample (warm)"),
        ylabel="Fréchet distance, 2000 samples (lower is better)",
    ),
    "curves.save_heat": partial(
        curves.save_heat,
        values=np.geomspace(1, 30, 24).reshape(6, 4),
        bar="Fréchet distance, 2000 samples (lower is better)",
        rows=[f"average {w:g} wide" for w in (0.03, 0.05, 0.075, 0.1, 0.15, 0.2)],
        columns=[f"guidance {g:g}" for g in (1, 1.5, 2, 3)],
    ),
    "curves.save_grids": partial(curves.save_grids, rows=GRIDS),
    "curves.save_schedules": partial(
        curves.save_schedules,
        t=T,
        named={"this run: cosine": SCHEDULE},
        others=SCHEDULES,
    ),
    "pictures.save_grid": partial(
        pictures.save_grid, images=images(6 * 20), columns=20, names=CLASSES
    ),
    "pictures.save_rows": partial(
        pictures.save_rows,
        rows={f"classifier, model without label: {i}": images(6) for i in range(8)},
        columns=CLASSES,
        group=4,
        title="one noise a column, after 12,000 training steps",
    ),
    "pictures.save_estimates": partial(
        pictures.save_estimates,
        names=[f"image {i + 1} ({name})" for i, name in enumerate(CLASSES[:4])],
        x_t=images(11, 4, channels=3),
        x0=images(11, 4, channels=3),
        columns=TIMES,
        title="what the network predicts after 12,000 training steps",
    ),
    "sheets.save_sheets": partial(
        sheets.save_sheets, sheets=SHEETS, class_names=CLASSES
    ),
    "conditionals.save_given": partial(
        conditionals.save_given,
        title="petal length (cm) = 1.4, petal width (cm) = 0.2",
        generated=table(90),
        real=table(30),
    ),
    "conditionals.save_inference": partial(
        conditionals.save_inference,
        classes=["setosa", "versicolor", "virginica"],
        confusion=np.diag([48, 45, 47]) + 1,
        coverage={name: np.array([0.9, 0.8, 0.95]) for name in [*table(3)][:4]},
        nominal=0.9,
        target="class",
    ),
    "latents.save_codes": partial(
        latents.save_codes,
        panels={
            "mnist_ae (plain): KL to N(0, I) 12.3 nats": RNG.normal(0, 9, (600, 2)),
            "mnist_vae (variational, KL weight 1): KL to N(0, I) 0.1 nats": RNG.normal(
                0, 1, (600, 2)
            ),
        },
        labels=np.array(CLASSES)[np.arange(600) % 6],
        axes_names=[("z 1", "z 2"), ("principal component 1", "principal component 2")],
    ),
    "densities.save_densities": partial(
        densities.save_densities,
        rows={
            "p(x) p(y | x)^w": ([f"w = {w}" for w in (0, 1, 2, 4)], MAPS),
            "samples, guided by w": (["total variation 0.123"] * 4, MAPS),
        },
        reach=2.2,
    ),
    "maps.save_maps": partial(
        maps.save_maps,
        maps=[
            maps.Map("dependence on time", np.cos(T - T[:, None]), "time t"),
            maps.Map("dependence on label", np.eye(6), "label", CLASSES),
        ],
        colours="cosine similarity, mean subtracted",
        title="variance of emb (128 values) over t and label: time 51.2%, label 40.1%, "
        "interaction 8.7%",
    ),
    "bands.save_bands": partial(
        bands.save_bands,
        x=T,
        panels=[
            bands.Lines(
                "held-out loss",
                {n: (np.exp(-i * T), 0.1) for i, n in enumerate(NETS)},
                log=True,
            ),
            bands.Lines(
                "loss of several networks / of one",
                {NETS[1]: (1 + T, 0.1), NETS[3]: (1 - T / 2, 0.1)},
                log=True,
                level=1.0,
            ),
        ],
        bars=bands.Bars(
            "Fréchet distance of samples (lower is better)",
            {n: (2.0 + i, 0.3) for i, n in enumerate(NETS)},
        ),
        xlabel="time t (0 is data, 1 is noise)\ndotted: edges of the networks",
        marks=[0.5],
        title="With as many parameters and examples in total, the held-out loss of 2 "
        "networks is 3.1% ± 0.5% below that of one network.",
    ),
    "stacks.save_stack": partial(
        stacks.save_stack,
        panels=[
            stacks.Panel("bits per dimension", {**WAVES, "decoder": ([0.0], [1.0])}),
            stacks.Panel(
                "weight of the error, mean 1",
                {"the loss trained on: squared error of velocity": (T, 10.0**-T)},
                log=True,
            ),
        ],
        xlabel="time t at which a step starts (0 is data, 1 is noise)",
        title="Each step's term is a weight times the error of one network: one loss "
        "at random t trains all steps.",
        shaded=(0.0, 0.1),
    ),
    "growth.save_growth": partial(
        growth.save_growth,
        panels={
            label: {
                "train.batch_size": growth.Curve([8, 16, 64], X[:3], X[:3] / 2, X[:3]),
                "model.name": growth.Curve(["unet", "mlp"], X[:2], X[:2], X[:2] + 1),
            }
            for label in ("ms per step", "compile, s", "peak device memory, MiB")
        },
        time="ms per step",
    ),
    "shares.save_shares": partial(
        shares.save_shares,
        names=CLASSES,
        bars={"1000 samples": (T[:6], T[:6] / 9), "data": (np.full(6, 0.1), None)},
        t=T,
        lines={name: T / (i + 1) for i, name in enumerate(CLASSES)},
        settled=("as the sample", 1 - T),
        titles=(
            "chi-square test against the data: p = 0.12",
            "class of the x0 predicted on the way",
        ),
    ),
    "walks.save_walks": partial(
        walks.save_walks,
        x=WALK,
        steps=range(0, 100, 17),
        centres=np.zeros((6, 2)),
        radii=0.05 * np.sqrt(np.arange(0, 100, 17) + 1),
        titles=[
            f"t = {k / 100:g}, step {k}\nstd 0.123, exact 0.124"
            for k in range(0, 100, 17)
        ],
        title="2,000 walkers from one x0, 1,000 small steps: cosine(shift=0.5)",
    ),
    "planes.save_planes": partial(
        planes.save_planes,
        panels={
            f"mnist_vae_{i} (variational, KL weight 1)\nat even quantiles of N(0, 1)": (
                images(20, 20),
                np.linspace([-2.0, -200.0], [2.0, 200.0], 20).T,
            )
            for i in range(2)
        },
    ),
    "planes.save_walks": partial(
        planes.save_walks,
        panels={
            f"mnist_vae_{i} (variational, KL weight 1)\nmean log density on the "
            "walks, minus that at the codes: -1.23 ± 0.04 nats": planes.Walks(
                np.outer(np.hanning(16), np.hanning(16)),
                np.full(2, -3.0),
                np.full(2, 3.0),
                {name: np.array([0.1 * k, 0.1]) for k, name in enumerate(CLASSES)},
                RNG.normal(0, 1, (8, 2, 2)),
            )
            for i in range(2)
        },
        axes_names=[("z 1", "z 2"), ("principal component 1", "principal component 2")],
    ),
    "neighbours.save_neighbours": partial(
        neighbours.save_neighbours,
        images=images(6),
        spaces={"pixels": SPACE, "features": SPACE._replace(unit="Euclidean")},
        title="the 6 of 200 samples that are nearest to training images",
    ),
    "pictures.save_rows, signed": partial(
        pictures.save_rows,
        rows={
            "x_t": images(7),
            "gradient": signed.signed_pixels(RNG.normal(0, 1, (7, 8, 8, 1)))[0],
        },
        columns=[f"t = {t:g}" for t in (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)],
    ),
    "sweeps.save_swept": partial(
        sweeps.save_swept,
        panels={
            label: {
                f"cosine, {name}": (
                    [*map(float, X)],
                    (y + i) * X**-0.5,
                    0.1 * y * X**-0.5,
                )
                for i, name in enumerate(SOLVERS[:3])
            }
            for label, y in SWEPT.items()
        },
        xlabel="train.batch_size",
    ),
    "sweeps.save_swept, names": partial(
        sweeps.save_swept,
        panels={
            label: {"": (CHANGES, y / np.arange(1.0, 5.0), np.full(4, 0.1 * y))}
            for label, y in SWEPT.items()
        },
        xlabel="change",
    ),
    "sweeps.save_losses": partial(
        sweeps.save_losses,
        lines={name: [(STEPS, k / STEPS)] * 2 for k, name in enumerate(CHANGES, 1)},
    ),
    "tables.save_pairs": partial(
        pair_plots.save_pairs, panels={"real": table(150), "generated": table(150)}
    ),
    "tables.save_scatters": partial(
        pair_plots.save_scatters,
        panels={f"t = {t:.1f}": table(90) for t in T[::9]},
        colours=table(90),
        title="data at rising t: cosine, normal noise",
    ),
}
