"""A mistake in a training command is one line, exit status 2, and no file."""

import numpy as np
import pytest
from PIL import Image

from tests.launch.conftest import contents, launch, one_line

IRIS = "--config=configs/iris.py"
DIGITS = "--config=configs/digits.py"

# name -> arguments of launch.train, and what the line must contain
TRAIN = {
    "misspelt block": ((IRIS, "--config.trian.num_steps=1"), "'trian'.*\"train\""),
    "misspelt field": ((IRIS, "--config.train.num_stesp=1"), '"num_steps"'),
    "wrong type": ((IRIS, "--config.train.num_steps=abc"), "num_steps=abc"),
    "wrong float": ((IRIS, "--config.train.clip_norm=x"), "clip_norm=x"),
    "misspelt flag": ((IRIS, "--workdri=x"), "workdri.*Did you mean: workdir"),
    "no flag": ((IRIS, "num_steps=1"), "'num_steps=1' is not a flag"),
    "no config": ((), "--config is missing"),
    "no such config": (("--config=configs/nope.py",), "no file configs/nope.py"),
    "unreadable config": (("--config={broken_config}",), "invalid syntax.*broken.py"),
    "failing config": (("--config={failing_config}",), "division by zero"),
    "no such variant": (("--config=configs/iris.py:smok",), "'smok'.*'smoke'"),
    "unknown solver": (
        (IRIS, "--config.sampler.solver=dimm"),
        "solvers has no 'dimm'; did you mean 'ddim'\\? It has: .*ddim",
    ),
    "unknown field of a choice": (
        (IRIS, "--config.train.ema=warmup(dekay=0.9)"),
        "did you mean 'decay'",
    ),
    "value of a choice": (
        (IRIS, "--config.sampler.solver=ddim(eta=3.0)"),
        "eta must be in \\[0, 1\\]",
    ),
    "unknown schedule": ((IRIS, "--config.diffusion.schedule=cosin"), "'cosine'"),
    "unknown task": ((IRIS, "--config.task=difusion"), "did you mean 'diffusion'"),
    "unknown model": ((IRIS, "--config.model.name=unett"), "did you mean 'unet'"),
    "model for other data": ((IRIS, "--config.model.name=unet"), "shape|rows|image"),
    "batch for the devices": (
        (IRIS, "--config.train.cpu_devices=2", "--config.train.batch_size=5"),
        "batch_size=5 must be divisible by devices .* 2 x 1; .*: 4",
    ),
    "no devices": ((IRIS, "--config.train.cpu_devices=0"), "from 1 to 256, got 0"),
    "no steps": ((IRIS, "--config.train.num_steps=0"), "num_steps must be at least 1"),
    "negative rate": ((IRIS, "--config.train.lr=constant(peak=-1.0)"), "must be > 0"),
    "seed": ((IRIS, "--config.seed=-1"), "seed must be from 0"),
    "flipped table": (
        (IRIS, "--config.data.flip=True"),
        "flip=True needs images of pixels",
    ),
    "dropout of a perceptron": (
        (IRIS, "--config.model.dropout=0.3"),
        "model.dropout=0.3: model 'mlp' does not take it; classifier, song_unet, unet "
        "take it. Leave it out, or choose model.name=song_unet",
    ),
    "attention of a perceptron": (
        (IRIS, "--config.model.attention=(8,)"),
        r"model.attention=\(8,\): model 'mlp' does not take it",
    ),
    "size of digits": (
        (DIGITS, "--config.data.size=16"),
        "data.size=16: data 'digits' does not take it; folder, tfds take it. "
        "Leave it out, or choose data.name=folder",
    ),
    "scale without a classifier": (
        (DIGITS, "--config.sampler.classifier_scale=4.0"),
        "classifier_scale=4.0 counts only with sampler.classifier. Leave it out, or",
    ),
    "bound without a variance": (
        (DIGITS, "--config.diffusion.bound_weight=0.1"),
        "bound_weight=0.1 counts only with diffusion.learned_variance",
    ),
    "steps of no evaluation": (
        (DIGITS, "--config.train.evaluate_steps=5"),
        "evaluate_steps=5 counts only with train.evaluate_every",
    ),
    "sampler of a classifier": (
        ("--config=configs/digits_features.py", "--config.sampler.num_steps=9"),
        "num_steps=9: task 'classifier' does not take it; diffusion takes it. "
        "Leave it out, or choose task=diffusion",
    ),
    "flag of another choice": (
        (DIGITS, "--config.data.name=iris", "--config.data.flip=True"),
        "data.flip=True needs images of pixels",
    ),
    "guidance without labels": (
        (IRIS, "--config.sampler.guidance=2.0"),
        "guidance=2.0 needs a model trained with labels",
    ),
    "variance nobody learned": (
        (DIGITS, '--config.sampler.solver=ddpm(variance="learned")'),
        "needs a model trained with diffusion.learned_variance=True",
    ),
    "network without a variance": (
        (IRIS, "--config.diffusion.learned_variance=True"),
        "model.name='mlp' gives no variance.*use 'unet'",
    ),
    "quantile": ((DIGITS, "--config.sampler.quantile=1.5"), "from 0 to 1"),
    "unprepared data set": (
        (
            "--config=configs/mnist_linear.py",
            "--config.data.data_dir={empty}",
            "--config.data.dataset=mnist",
        ),
        "mnist",
    ),
    "unknown column": ((IRIS, "--config.data.columns=('petal',)"), "petal"),
    "no folder": (
        (DIGITS, "--config.data.name=folder", "--config.data.path={empty}/none"),
        "none",
    ),
    "empty folder": (
        (DIGITS, "--config.data.name=folder", "--config.data.path={empty}"),
        "empty",
    ),
    "broken picture": (
        (DIGITS, "--config.data.name=folder", "--config.data.path={pictures}"),
        "broken.png",
    ),
    "no table": (
        ("--config=configs/table.py", "--config.data.path={empty}/none.csv"),
        "none.csv",
    ),
    "missing values": (
        ("--config=configs/table.py", "--config.data.path={holes}"),
        "holes.csv.*(missing|empty)",
    ),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    for name in ("empty", "pictures"):
        (folder / name).mkdir()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "pictures" / "a.png")
    whole = (folder / "pictures" / "a.png").read_bytes()
    (folder / "pictures" / "broken.png").write_bytes(whole[: len(whole) // 2])
    (folder / "broken.py").write_text("def get_config(:\n")
    (folder / "failing.py").write_text("def get_config():\n    return 1 / 0\n")
    (folder / "holes.csv").write_text("a,b\n1.0,x\n,y\n3.0,x\n")
    return {
        "empty": folder / "empty",
        "pictures": folder / "pictures",
        "broken_config": folder / "broken.py",
        "failing_config": folder / "failing.py",
        "holes": folder / "holes.csv",
        "root": folder,
    }


@pytest.fixture(scope="module")
def outcomes(places):
    cases = {
        name: (
            "launch.train",
            *(a.format(**places) for a in arguments),
            f"--workdir={places['root']}/new",
        )
        for name, (arguments, _) in TRAIN.items()
    }
    before = contents(places["root"])
    done = launch(cases)
    # configs are Python, of which Python keeps a compiled copy
    after = {
        k: v for k, v in contents(places["root"]).items() if "__pycache__" not in k
    }
    assert after == before
    assert not (places["root"] / "new").exists()
    return done


@pytest.mark.parametrize("name", TRAIN)
def test_train(name, outcomes):
    one_line(outcomes[name], TRAIN[name][1])
