"""The commands that the campaign interrupts, as small as they can be."""

from pathlib import Path

Command = tuple[str, ...]

STEPS, EVERY = 120, 10
DATA = ("--config.data.shape=(4, 4, 1)", "--config.data.num_classes=3")
ONE = "--config.train.cpu_devices=1"


def flags(**fields: object) -> Command:
    return tuple(
        f"--config.{name.replace('__', '.')}={value}" for name, value in fields.items()
    )


def train(workdir: Path, steps: int = STEPS, **changes: object) -> Command:
    """Images of three classes, with snapshots of averages; a step takes 1 ms."""
    fields = {
        "num_steps": steps,
        "batch_size": 4,
        "log_every": 7,
        "checkpoint_every": EVERY,
        "sample_every": 4 * EVERY,
        "num_preview": 3,
        "keep_last": 2,
        "ema_widths": (0.05, 0.1),
        "snapshot_every": 2 * EVERY,
        "lr": "constant(peak=0.05)",
    }
    fields = {f"train__{name}": value for name, value in (fields | changes).items()}
    network = flags(model__name="speck", **fields)
    config = "--config=configs/digits.py:smoke"
    return ("launch.train", config, *DATA, ONE, *network, f"--workdir={workdir}")


def train_classifier(workdir: Path) -> Command:
    """Its features are what an evaluation compares."""
    config = "--config=configs/digits_features.py:smoke"
    few = flags(train__num_steps=2, train__batch_size=4, model__attention=())
    return ("launch.train", config, *DATA, ONE, *few, f"--workdir={workdir}")


def train_encoder(workdir: Path) -> Command:
    config = "--config=configs/mnist_ae.py:smoke"
    few = flags(train__num_steps=2, train__batch_size=4, data__num_examples=8000)
    return ("launch.train", config, *DATA, ONE, *few, f"--workdir={workdir}")


def train_on_codes(workdir: Path, encoder: Path) -> Command:
    """Two steps, for which all images are encoded first."""
    few = flags(train__num_steps=2, train__batch_size=4, train__num_preview=3)
    data = flags(data__name="latents", data__path=encoder)
    network = flags(model__name="mlp", model__hidden=8, model__num_blocks=1)
    config = "--config=configs/digits.py:smoke"
    return ("launch.train", config, ONE, *few, *data, *network, f"--workdir={workdir}")


def sample(workdir: Path, out: Path, num: int = 60) -> Command:
    how = (f"--num={num}", "--shard=5", "--png", "--config.sampler.num_steps=3")
    return ("launch.sample", f"--workdir={workdir}", f"--out={out}", *how)


def evaluate(workdir: Path, features: Path, out: Path, bpd: bool = True) -> Command:
    names = "frechet,kid" + ",bpd" * bpd
    how = (f"--metrics={names}", f"--features={features}", "--num=40")
    few = ("--num_bpd=20", "--steps=4", "--estimates=continuous") if bpd else ()
    where = (f"--workdir={workdir}", f"--out={out}", "--config.sampler.num_steps=3")
    return ("launch.evaluate", *where, *how, *few)
