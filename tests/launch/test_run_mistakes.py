"""A mistake in a request to a trained run is one line, status 2, and no file."""

import json

import pytest

from tests.launch.conftest import ROOT, SMALL_IRIS, contents, launch, one_line


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
    out, unet = f"--out={folder}/new", f"--workdir={ROOT}/tests/workdirs/unet"
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
            "channels of a run": (sample, unet, out, "--config.model.channels=64"),
            "size of a run": (sample, images, out, "--config.data.size=16"),
            "shape of a run": (sample, images, out, "--config.data.shape=(8, 8, 1)"),
            "plotted otherwise": (
                *("launch.plot", "grid", images, out, "--config.seed=3"),
            ),
            "evaluated otherwise": (
                *("launch.evaluate", images, out, "--config.diffusion.schedule=angle"),
            ),
            "fitted otherwise": (
                *("launch.fit_grid", unet, out, "--config.model.channels=64"),
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
            "known without fix": (sample, table, out, "--config.sampler.known_steps=5"),
            "known and fitted": (
                *("launch.fit_grid", images, out, "--config.sampler.resample=2"),
            ),
            "known and edited": (
                *("launch.edit", "vary", images, out, "--data_index=0"),
                "--config.sampler.resample=2",
            ),
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
    "label": "from 0 to 2 or a class's name, got 3; classes: 0 class 0, 1 class 1",
    "negative label": "label must be from 0 to 2 .*, got -1",
    "label of a table": "no class '0': the data have no labels",
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
    "known without fix": "known_steps=5 counts only with launch.sample --fix",
    "known and fitted": "resample=2 counts only with",
    "known and edited": "resample=2 counts only with",
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
