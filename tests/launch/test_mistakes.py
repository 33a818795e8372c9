"""A user's mistake is one line on standard error, exit status 2, and no file."""

import hashlib
import json
import re

import numpy as np
import pytest
from PIL import Image

from tests.launch.conftest import SMALL_IRIS, launch

IRIS = "--config=configs/iris.py"
DIGITS = "--config=configs/digits.py"

# name -> arguments of launch.train, and what the line must say
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
        "batch_size=5 must divide by devices .* 2 x 1; .*: 4",
    ),
    "no devices": (
        (IRIS, "--config.train.cpu_devices=0"),
        "must be from 1 to 256, got 0",
    ),
    "no steps": ((IRIS, "--config.train.num_steps=0"), "num_steps must be at least 1"),
    "negative rate": ((IRIS, "--config.train.lr=constant(peak=-1.0)"), "must be > 0"),
    "seed": ((IRIS, "--config.seed=-1"), "seed must be from 0"),
    "flipped table": (
        (IRIS, "--config.data.flip=True"),
        "flip=True needs images of pixels",
    ),
    "dropout of a perceptron": (
        (IRIS, "--config.model.dropout=0.3"),
        "model.dropout=0.3: model 'mlp' does not take it; classifier, unet take it. "
        "Leave it out, or choose model.name=unet",
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


def contents(folder):
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
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


def one_line(outcome, says):
    assert outcome.status == 2, outcome
    assert "Traceback" not in outcome.err
    lines = outcome.err.strip().splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("error: ")
    assert re.search(says, lines[0]), lines[0]
    assert len(lines[0]) < 700


@pytest.mark.parametrize("name", TRAIN)
def test_train(name, outcomes):
    one_line(outcomes[name], TRAIN[name][1])


@pytest.fixture(scope="module")
def on_a_run(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    (folder / "full").mkdir()
    (folder / "full" / "mine.txt").write_text("precious")
    (folder / "old").mkdir()
    stored = json.loads((trained["table"] / "config.json").read_text())
    stored["train"]["cpu_device"] = 2
    (folder / "old" / "config.json").write_text(json.dumps(stored))
    table, images = (f"--workdir={trained[k]}" for k in ("table", "images"))
    out = f"--out={folder}/new"
    before = contents(trained["table"]), contents(trained["images"]), contents(folder)
    sample, one = "launch.sample", "--data_index=0"
    done = launch(
        {
            "other config": (
                *("launch.train", *SMALL_IRIS, table),
                *("--config.train.batch_size=8", "--config.model.hidden=16"),
            ),
            "fewer steps": (
                "launch.train",
                *SMALL_IRIS,
                table,
                "--config.train.num_steps=1",
            ),
            "a full folder": ("launch.train", *SMALL_IRIS, f"--workdir={folder}/full"),
            "no workdir": (sample, f"--workdir={folder}/full", out),
            "unknown field": (sample, f"--workdir={folder}/old", out),
            "unknown field of a classifier": (
                *(sample, images, out),
                f"--config.sampler.classifier={folder}/old",
            ),
            "prediction of a run": (
                *(sample, images, out, "--config.diffusion.prediction=eps"),
            ),
            "channels of a run": (sample, images, out, "--config.model.channels=64"),
            "size of a run": (sample, images, out, "--config.data.size=16"),
            "shape of a run": (sample, images, out, "--config.data.shape=(8, 8, 1)"),
            "plotted otherwise": (
                *("launch.plot", "grid", images, out, "--config.seed=3"),
            ),
            "evaluated otherwise": (
                *("launch.evaluate", images, out, "--config.diffusion.schedule=angle"),
            ),
            "fitted otherwise": (
                *("launch.fit_grid", images, out, "--config.model.channels=64"),
            ),
            "edited otherwise": (
                *("launch.edit", "vary", images, out, one, "--config.task=classifier"),
            ),
            "scale without a classifier": (
                *(sample, images, out, "--config.sampler.classifier_scale=3.0"),
            ),
            "unknown field of features": (
                *("launch.evaluate", images, out, f"--features={folder}/old"),
            ),
            "missing workdir": (sample, out),
            "missing out": (sample, images),
            "full out": (sample, images, f"--out={folder}/full"),
            "label": (sample, images, out, "--label=3"),
            "negative label": (sample, images, out, "--label=-1"),
            "label of a table": (sample, table, out, "--label=0"),
            "pictures of a table": (sample, table, out, "--png"),
            "number": (sample, images, out, "--num=0"),
            "num is no number": (sample, images, out, "--num=x"),
            "fix no column": (sample, table, out, "--fix=clas=setosa"),
            "fix no category": (sample, table, out, "--fix=class=rose"),
            "fix no number": (sample, table, out, "--fix=petal length (cm)=long"),
            "fix twice": (sample, table, out, *("--fix=class=setosa",) * 2),
            "fix without value": (sample, table, out, "--fix=class"),
            "fix images": (sample, images, out, "--fix=class=setosa"),
            "fix all": (
                *(sample, table, out, "--fix=class=setosa"),
                "--fix=petal length (cm)=1.4",
            ),
            "known": (sample, table, out, "--config.sampler.known=regres"),
            "resample": (sample, table, out, "--config.sampler.resample=0"),
            "misspelt override": (sample, images, out, "--config.sampler.guidence=1"),
            "unknown solver": (sample, images, out, "--config.sampler.solver=dimm"),
            "no edit": ("launch.edit", images, out),
            "edit": ("launch.edit", "varry", images, out, one),
            "edit a table": ("launch.edit", "vary", table, out, one),
            "flag of another edit": (
                *("launch.edit", "inpaint", images, out, one),
                "--strength=.5",
            ),
            "invert noise": (
                *("launch.edit", "invert", images, out, one),
                "--config.sampler.solver=ddpm",
            ),
        }
    )
    after = contents(trained["table"]), contents(trained["images"]), contents(folder)
    assert before == after
    return done


UNKNOWN = (
    "config.json: there is no field train.cpu_device .stored: 2.. Did you mean "
    "'train.cpu_devices'"
)
RUNS = {
    "other config": r"model.hidden=16 \(stored: 8\); train.batch_size=8 \(stored: 4\)",
    "fewer steps": r"train.num_steps=1 \(stored: 2\)",
    "a full folder": "not empty and holds no run",
    "no workdir": "is not a run's workdir: it has no config.json",
    "unknown field": UNKNOWN,
    "unknown field of a classifier": UNKNOWN,
    "unknown field of features": UNKNOWN,
    "prediction of a run": (
        "is trained and cannot have diffusion.prediction='eps' .stored: 'v'.: leave it "
        "out, or train another run. Only sampler, .* can change"
    ),
    "channels of a run": r"cannot have model.channels=64 .stored: 8.",
    "size of a run": "data.size=16: data 'synthetic' does not take it; folder, tfds",
    "shape of a run": r"cannot have data.shape=.8, 8, 1. .stored: .4, 4, 1..",
    "plotted otherwise": "cannot have seed=3 .stored: 0.",
    "evaluated otherwise": "cannot have diffusion.schedule='angle'",
    "fitted otherwise": "cannot have model.channels=64",
    "edited otherwise": "cannot have task='classifier'",
    "scale without a classifier": "counts only with sampler.classifier",
    "missing workdir": "--workdir is missing",
    "missing out": "--out is missing",
    "full out": "not empty; choose another folder, or --force",
    "label": "--label must be from 0 to 2, got 3; classes: 0 class 0, 1 class 1",
    "negative label": "--label must be from 0 to 2, got -1",
    "label of a table": "trained without labels",
    "pictures of a table": "--png is for images",
    "number": "--num must be at least 1, got 0",
    "num is no number": "num",
    "fix no column": "--fix: .*no column 'clas'; did you mean 'class'",
    "fix no category": "no category 'rose'; it has: setosa, versicolor, virginica",
    "fix no number": "'petal length .cm.' is numeric, got .*'long'",
    "fix twice": "--fix: column 'class' is given twice",
    "fix without value": "'class' is not COLUMN=VALUE",
    "fix images": "--fix: only tables have columns",
    "fix all": "--fix: every column is given; leave at least one free",
    "known": "did you mean 'regress'",
    "resample": "resample must be at least 1, got 0",
    "misspelt override": "guidance",
    "unknown solver": "did you mean 'ddim'",
    "no edit": "which kind of edit",
    "edit": "no edit 'varry'; did you mean 'vary'",
    "edit a table": "is for models of pixels; this one's data are tables",
    "flag of another edit": "--strength is for vary, and not for inpaint",
    "invert noise": "draws noise on its way.*--config.sampler.solver=heun",
}


@pytest.mark.parametrize("name", RUNS)
def test_on_a_run(name, on_a_run):
    one_line(on_a_run[name], RUNS[name])
