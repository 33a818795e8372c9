"""Every mistake in the request of an edit is refused before any work."""

import inspect

import pytest

from jaxdiff.runs import batched
from jaxdiff.runs.edit.request import EditRequest

MISTAKES = {
    "kind": ("varry", {}, "no edit 'varry'; did you mean 'vary'"),
    "no image": ("vary", {}, "which image"),
    "both": ("vary", {"images": ["{files}/a.png"], "index": ["0"]}, "one of the two"),
    "missing": ("vary", {"images": ["{files}/b.png"]}, "no file or folder .*b.png"),
    "text": ("vary", {"images": ["{files}/text.png"]}, "text.png cannot be used"),
    "size": (
        *("vary", {"images": ["{files}/wide.png"]}),
        "wide.png is 12x8, and 8x8 is needed here; --resize",
    ),
    "index": ("vary", {"index": ["60"]}, "no example 60; the data have 60"),
    "index text": ("vary", {"index": ["one"]}, "0,1,2 or 0:200, got 'one'"),
    "index twice": ("vary", {"index": ["1", "0:3"]}, "twice"),
    "strength": (
        "vary",
        {"index": ["0"], "strength": 0.0},
        "--strength must be above 0",
    ),
    "strong": ("vary", {"index": ["0"], "strength": 1.1}, "at most 1, got 1.1"),
    "weak": ("vary", {"index": ["0"], "strength": 0.1}, "last time, 0.33"),
    "num": ("vary", {"index": ["0"], "num": 0}, "--num must be at least 1, got 0"),
    "label": ("vary", {"index": ["0"], "label": 3}, "label must be from 0 to 2"),
    "steps": ("vary", {"index": ["0"], "num_steps": 0}, "num_steps must be at least 1"),
    "method and known": (
        "inpaint",
        {"index": ["0"], "mask": "top", "method": "pigdm", "known": "resample"},
        "sampler.known='resample' does not count with --method=pigdm",
    ),
    "no mask": ("inpaint", {"index": ["0"]}, "--mask is missing"),
    "mask file": ("inpaint", {"index": ["0"], "mask": "m.png"}, "'m.png'.*top, bottom"),
    "mask size": (
        *("inpaint", {"index": ["0"], "mask": "{files}/narrow.png"}),
        "--mask .*narrow.png is 6x8, and 8x8 is needed",
    ),
    "black": (
        "inpaint",
        {"index": ["0"], "mask": "{files}/black.png"},
        "black all over",
    ),
    "white": (
        "inpaint",
        {"index": ["0"], "mask": "{files}/white.png"},
        "white all over",
    ),
    "method": (
        *("inpaint", {"index": ["0"], "mask": "top", "method": "pgdm"}),
        "did you mean 'pigdm'",
    ),
    "noise": ("invert", {"index": ["0"], "solver": "ddpm"}, "draws noise on its way"),
    "eta": ("interpolate", {"index": ["0"], "solver": "ddim(eta=0.5)"}, "draws noise"),
    "two": ("interpolate", {"index": ["0:3"]}, "between two images, got 3"),
    "nfe": ("invert", {"index": ["0"], "every": True, "nfe": 3}, "--nfe=3 is too"),
    "factor": ("upscale", {"index": ["0"], "factor": 3}, "--factor=3 does not divide"),
    "no factor": ("upscale", {"index": ["0"], "factor": 1}, "whole number from 2 on"),
    "large": ("upscale", {"images": ["{files}/a.png"]}, "is 8x8, and 4x4 is needed"),
    "grey model": ("colourise", {"index": ["0"]}, "needs a model in colour; .*8x8x1"),
    "table": ("vary", {"run": "table", "index": ["0"]}, "tables .launch.sample --fix"),
    "no classes": (
        "vary",
        {"run": "colour", "index": ["0"], "label": 0},
        "without lab",
    ),
    "guidance": (
        *("vary", {"run": "colour", "index": ["0"], "guidance": 2.0}),
        "guidance=2.0 needs a model trained with labels",
    ),
    "no null": (
        *("vary", {"run": "no null", "images": ["{files}/a.png"]}),
        "--label is missing",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name, edited, files, tmp_path, monkeypatch):
    def draw(*args, **fields):
        raise AssertionError("work was begun")

    monkeypatch.setattr(batched, "_pmapped", lambda *args: draw)
    kind, fields, message = MISTAKES[name]
    known = inspect.signature(EditRequest).parameters

    def filled(value):
        if isinstance(value, list):
            return [filled(one) for one in value]
        return value.format(files=files) if isinstance(value, str) else value

    fields = {k: v if k == "run" else filled(v) for k, v in fields.items()}
    run = fields.pop("run", "grey")
    sampling = {k: fields.pop(k) for k in [*fields] if k not in known}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        edited(kind, run, sampling, **fields)
    assert not (tmp_path / "out").exists()


def test_an_out_that_holds_something(edited, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("precious")
    with pytest.raises(
        ValueError, match="not empty; choose another folder, or --force"
    ):
        edited("vary", index=["0"])
