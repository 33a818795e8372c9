"""config.auto: sizes that follow from the data, are stored, and give way to flags."""

import numpy as np
import pytest
from PIL import Image

from configs import pictures
from jaxdiff.runs import workdir
from jaxdiff.runs.train import setup, sizes


def write(folder, num, side=(40, 52)):
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(num):
        pixels = rng.integers(0, 255, (*side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")


def config_of(folder, **fields):
    config = pictures.get_config()
    config.data.path = str(folder)
    config.update_from_flattened_dict(fields)
    return config


@pytest.mark.parametrize(
    ("args", "multipliers", "batch", "steps", "preview"),
    [
        ((60, 32, 2), (1, 2, 2), 32, 1000, 36),
        ((60, 16, 0), (1, 2), 32, 1000, 36),
        ((60, 8, 7), (1,), 32, 1000, 35),
        ((60, 48, 40), (1, 2, 2), 32, 1000, 36),
        ((60, 64, 9, True), (1, 2, 2, 3), 64, 5000, 36),
        ((1906, 50, 9, True, 6), (1, 2), 66, 14440, 36),  # ceil(500 x 1906 / 66)
        ((10**6, 64, 9, True), (1, 2, 2, 3), 64, 50_000, 36),
    ],
)
def test_the_rule_by_hand(args, multipliers, batch, steps, preview):
    chosen = sizes.rule(*args)
    assert chosen["model.multipliers"] == multipliers
    assert chosen["train.batch_size"] == batch
    assert chosen["train.num_steps"] == steps
    assert chosen["train.num_preview"] == preview
    config = pictures.get_config()
    assert {*config.auto} == {*chosen}
    if args[0] < 10**6 and args[1] == 32:  # what the config itself writes
        given = {name: config[name] for name in chosen}
        assert given == {**chosen, "data.size": 32}


def test_few_pictures_may_be_held_out(tmp_path, capsys):
    write(tmp_path / "pictures", 8)
    config = config_of(tmp_path / "pictures", **{"data.holdout": ".3"})
    source = setup.prepare(config, tmp_path / "run").experiment.source
    assert 0 < len(source) < 8 and len(source) + len(source.holdout()) == 8
    assert "chosen for 8 pictures" in capsys.readouterr().err
    write(tmp_path / "one", 1)
    setup.prepare(config_of(tmp_path / "one"), tmp_path / "run")
    assert "chosen for 1 picture:" in capsys.readouterr().err


@pytest.mark.parametrize("classes", [(), ("a", "b")])
@pytest.mark.parametrize(("side", "size"), [((40, 52), 32), ((9, 52), 16)])
def test_a_folder_is_all_that_a_run_needs(classes, side, size, tmp_path, capsys):
    for name in classes or [""]:
        write(tmp_path / "pictures" / name, 3, side)
    run = setup.prepare(config_of(tmp_path / "pictures"), tmp_path / "run")
    source, config = run.experiment.source, run.experiment.config
    assert source.shape == (size, size, 3) and source.num_classes == len(classes)
    assert run.experiment.num_classes == len(classes)
    assert config.auto == () and config.data.size == size
    *small, line = capsys.readouterr().err.splitlines()
    assert ["are enlarged" in note for note in small] == [True] * (size == 16)
    assert line.startswith(f"note: chosen for {3 * max(1, len(classes))} pictures: ")
    assert f"data.size={size}, " in line and "train.num_steps=1000" in line


def test_a_run_resumes_with_what_it_chose(tmp_path, monkeypatch, capsys):
    write(tmp_path / "pictures", 4)
    config, folder = config_of(tmp_path / "pictures"), tmp_path / "run"
    first = setup.prepare(config, folder).experiment.config
    workdir.save_config(folder, first)
    capsys.readouterr()
    monkeypatch.setattr(sizes, "_faster", lambda: True)  # on another machine
    again = setup.prepare(config, folder).experiment.config
    assert again == first and capsys.readouterr().err == ""
    elsewhere = setup.prepare(config, None).experiment.config
    assert elsewhere.train.num_steps == 5000 and elsewhere.model.channels == 64


def test_what_is_set_is_kept_and_counts(tmp_path):
    write(tmp_path / "pictures", 4)
    auto = ("model.multipliers", "train.num_steps")
    config = config_of(tmp_path / "pictures", auto=auto, **{"data.size": 24})
    chosen = setup.prepare(config, None).experiment.config
    assert chosen.data.size == 24 and chosen.model.multipliers == (1, 2)


def test_other_sources_keep_their_size(tmp_path):
    config = pictures.get_config("synthetic")
    config.data.update({"shape": (12, 20, 1), "num_classes": 2})
    chosen = setup.prepare(config, None).experiment.config
    assert chosen.data.size == 0 and chosen.model.multipliers == (1,)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"auto": ("train.lr",)}, "auto: no rule chooses 'train.lr'"),
        ({"auto": ("data.sise",)}, "did you mean 'data.size'"),
        ({"data.name": "iris"}, "auto: its rules are for images, and the data"),
        ({"data.path": "no/where"}, "there is no folder 'no/where'"),
    ],
)
def test_what_does_not_fit_is_refused(fields, match, tmp_path):
    config = config_of(tmp_path, **fields)
    with pytest.raises((ValueError, FileNotFoundError), match=match):
        sizes.choose(config, lambda c: setup.Experiment(c).source)
