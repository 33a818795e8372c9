"""The kinds of inputs that the campaign makes up, each with what reads it."""

import inspect
import io
import json
import struct
from functools import cache
from typing import get_args

import numpy as np
from PIL import Image

from jaxdiff import build, choices, fields, ranges, schema, upgrades
from jaxdiff.data import folder as folders
from jaxdiff.data import given, latents, masks, synthetic, table, tfds
from jaxdiff.diffusion import (
    editing,
    grids,
    inputs,
    losses,
    noises,
    predictions,
    rules,
    scalings,
    schedules,
    solvers,
    times,
    weights,
)
from jaxdiff.interop import inception
from jaxdiff.runs import shards, workdir
from jaxdiff.runs.edit import inputs as edit_inputs
from jaxdiff.runs.evaluate import folders as samples
from jaxdiff.runs.sample import sweep
from jaxdiff.runs.train import setup
from jaxdiff.train import ema, lr_schedules, optim
from tests.data import test_tfds
from tests.fuzz import wild

SCHEDULE = schedules.cosine()
# Home -> what its makers are called with, after their fields.
HOMES = {
    schedules: (),
    solvers: (SCHEDULE,),
    grids: (SCHEDULE, 10),
    times: (SCHEDULE,),
    scalings: (SCHEDULE,),
    weights: (),
    losses: (),
    noises: (),
    inputs: (),
    predictions: (),
    rules: (),
    editing: (),
    ema: (),
    lr_schedules: (),
    optim: (lr_schedules.constant(1e-3, 10),),
}
# Homes whose makers get the number of steps from another field.
STEPPED = (grids, lr_schedules)


def spec(rng, folder):
    """A choice as text, near to one that can be made."""
    home = [*HOMES][rng.integers(len(HOMES))]
    members = choices.members(home)
    name = [*members][rng.integers(len(members))]
    parts = [f"{k}={wild.like(rng, _example(t))!r}" for k, t in _types(members[name])]
    rng.shuffle(parts)
    text = f"{name}({', '.join(parts[: rng.integers(4)])})"
    if rng.random() < 0.3:
        text = wild.edited(rng, text)
    steps = {"num_steps": 10} if home is lr_schedules else {}
    given_by = {"num_steps": "num_steps"} if home in STEPPED else {}

    def call():
        return choices.choose(home, text, given_by)(*HOMES[home], **steps)

    return f"{home.__name__}: {text}", call


def maker(rng, folder):
    """A maker called from Python with wild numbers."""
    home = [*HOMES][rng.integers(len(HOMES))]
    members = choices.members(home)
    name = [*members][rng.integers(len(members))]
    numbers = {float: wild.number, int: wild.integer}
    kinds = [(k, t) for k, t in _types(members[name]) if t in numbers]
    kinds = [(k, t) for k, t in kinds if k != "num_steps" or home not in STEPPED]
    values = {k: numbers[t](rng) for k, t in kinds}
    if home is lr_schedules:
        values = {"num_steps": 10, **values}
    if home is grids and rng.random() < 0.3:
        steps = wild.integer(rng)
        return f"{name} {steps}", lambda: members[name](SCHEDULE, steps, **values)
    return f"{name} {values}", lambda: members[name](*HOMES[home], **values)


@cache
def _types(make):
    return [
        (k, kind)
        for k, p in inspect.signature(make).parameters.items()
        for kind in (float, int, str, bool)
        if kind is p.annotation or kind in get_args(p.annotation)
    ]


def _example(kind):
    return {float: 0.5, int: 3, str: "small", bool: True}[kind]


@cache
def _stored() -> str:
    config = schema.get_config()
    config.data.update({"name": "synthetic", "shape": (2,), "num_examples": 20})
    config.model.update({"name": "mlp", "hidden": 4, "num_blocks": 1})
    config.train.update({"batch_size": 4, "num_steps": 2, "num_preview": 4})
    config.sampler.update({"num_steps": 2, "batch_size": 4})
    fields.settle(config)
    return json.dumps(config.to_dict(), default=list)


def _changed(rng, one=False):
    """A stored config, with some fields changed."""
    stored = json.loads(_stored())
    changed = []
    for _ in range(1 if one else rng.integers(1, 4)):
        block = [*stored][rng.integers(len(stored))]
        if isinstance(stored[block], dict) and stored[block] and rng.random() < 0.95:
            name = [*stored[block]][rng.integers(len(stored[block]))]
            stored[block][name] = new = wild.like(rng, stored[block][name])
            changed.append(f"{block}.{name}={new!r}"[:80])
        else:
            stored[block] = new = wild.like(rng, stored[block])
            changed.append(f"{block}={new!r}"[:80])
    return stored, "; ".join(changed)


def settings(rng, folder):
    """Fields of other types and ranges, as far as they are checked without data."""
    stored, text = _changed(rng)

    def call():
        config = upgrades.upgrade(stored)
        ranges.check(config)
        fields.check(config)
        schedule = build.make_schedule(config)
        for make in (build.make_solver, build.make_grid):
            make(config, schedule)
        for make in (build.make_noise, build.make_rule, build.make_edit):
            make(config)
        build.make_optimizer(config)
        build.make_ema(config)

    return text, call


def prepare(rng, folder):
    """The same, up to the last check before training."""
    stored, text = _changed(rng, one=True)
    return text, lambda: setup.prepare(upgrades.upgrade(stored), folder / "run")


def config_json(rng, folder):
    stored, text = _changed(rng)
    data = json.dumps(stored).encode()
    if rng.random() < 0.5:
        data, text = wild.damaged(rng, data), "damaged bytes"
    (folder / "config.json").write_bytes(data)
    return text, lambda: workdir.load_config(folder)


def json_files(rng, folder):
    """sampling.json and metrics.jsonl."""
    record = {
        "num": 5,
        "shard": 2,
        "seed": 0,
        "sampler": json.loads(_stored())["sampler"],
    }
    changed = {**record, **{k: wild.value(rng) for k in record if rng.random() < 0.3}}
    rows = [{"step": i, "loss": 0.5} for i in range(5)]
    rows[rng.integers(5)] = wild.value(rng)
    record_bytes = json.dumps(
        changed if rng.random() < 0.7 else wild.value(rng)
    ).encode()
    lines = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    if rng.random() < 0.4:
        record_bytes, lines = wild.damaged(rng, record_bytes), wild.damaged(rng, lines)
    (folder / "sampling.json").write_bytes(record_bytes)
    (folder / "metrics.jsonl").write_bytes(lines)
    if rng.random() < 0.5:
        return f"{lines[:150]}", lambda: workdir.read_metrics(folder)
    return f"{record_bytes[:150]}", lambda: shards.resumes(folder, record, False)


def csv(rng, folder):
    rows = [
        ["height", "kind"],
        *([f"{rng.normal():.2f}", "ab"[i % 2]] for i in range(6)),
    ]
    for _ in range(rng.integers(1, 3)):
        row = rows[rng.integers(len(rows))]
        row[rng.integers(2)] = (
            wild.text(rng) if rng.random() < 0.6 else str(wild.value(rng))
        )
    data = "\n".join(",".join(row) for row in rows).encode("utf-8", "surrogatepass")
    if rng.random() < 0.3:
        data = wild.damaged(rng, data)
    path = folder / "table.csv"
    path.write_bytes(data)
    return f"{data[:150]}", lambda: table.make(str(path))


def images(rng, folder):
    """Damaged pictures of several formats, as data and as a mask."""
    pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
    end = ("png", "jpg", "gif", "bmp", "webp")[rng.integers(5)]
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, {"jpg": "jpeg"}.get(end, end))
    data = wild.damaged(rng, out.getvalue())
    path = folder / f"a.{end}"
    path.write_bytes(data)
    if rng.random() < 0.3:
        return f"mask {data[:60]}", lambda: masks.read(str(path), (8, 8, 1))
    return f"{data[:60]}", lambda: folders.make(str(folder), size=4)


def npz(rng, folder):
    """Samples whose arrays are others, or damaged."""
    arrays = {
        "values": rng.uniform(0, 255, (3, 4, 4, 1)).astype(np.float32),
        "labels": np.arange(3),
        "seeds": np.arange(3),
    }
    name, how = [*arrays][rng.integers(3)], rng.integers(6)
    if how == 0:
        arrays[name] = np.array([wild.value(rng), None], dtype=object)
    elif how == 1:
        arrays[name] = np.array(wild.number(rng))
    elif how == 2:
        arrays[name] = arrays[name].reshape(-1)[:2]
    elif how == 3:
        del arrays[name]
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    data = out.getvalue()
    if rng.random() < 0.6:
        data = wild.damaged(rng, data)
    (folder / "samples.npz").write_bytes(data)
    return f"{data[:60]}", lambda: samples.read(folder, _images())


@cache
def _images():
    source = synthetic.make((4, 4, 1), 3, 9)
    return source


def safetensors(rng, folder):
    types = {"F32": 2, "F8_E4M3": 8, "BF16": 4, "I64": 1, "F4": 16, "F64": 1, "U8": 8}
    dtype = [*types][rng.integers(7)]
    header = {"a": {"dtype": dtype, "shape": [types[dtype]], "data_offsets": [0, 8]}}
    if rng.random() < 0.5:
        key = ("dtype", "shape", "data_offsets")[rng.integers(3)]
        header["a"][key] = wild.value(rng)
    text = json.dumps(header).encode()
    data = struct.pack("<Q", len(text)) + text + b"\0" * 8
    if rng.random() < 0.5:
        data = wild.damaged(rng, data)
    path = folder / "a.safetensors"
    path.write_bytes(data)
    return f"{data[:150]}", lambda: inception.load(path)


def codes(rng, folder):
    """The stored codes of a first stage."""
    kept = folder / "abc"
    kept.mkdir()
    arrays = {
        "codes": rng.normal(size=(9, 2, 2, 1)).astype(np.float32),
        "labels": np.arange(9, dtype=np.int32),
    }
    name = ("codes", "labels")[rng.integers(2)]
    for file, array in arrays.items():
        out = io.BytesIO()
        other = array[: rng.integers(9)] if rng.random() < 0.2 else array.astype("<i4")
        np.save(out, other if file == name and rng.random() < 0.3 else array)
        data = out.getvalue()
        (kept / f"{file}.npy").write_bytes(
            wild.damaged(rng, data) if file == name else data
        )
    stage = latents.FirstStage(_images(), lambda x: x, lambda z: z, "abc", folder)

    def call():
        source = latents.make(stage)
        return source[np.arange(len(source))]

    return name, call


def records(rng, folder):
    """The shards of a data set of TFDS."""
    pictures = [rng.integers(0, 256, (4, 6, 1), np.uint8) for _ in range(4)]
    test_tfds.write(folder, "beasts", pictures, [0, 1, 2, 0])
    files = [p for p in (folder / "beasts" / "1.0.0").iterdir() if p.is_file()]
    path = sorted(files)[rng.integers(len(files))]
    path.write_bytes(wild.damaged(rng, path.read_bytes()))

    def call():
        source = tfds.make("beasts", data_dir=str(folder))
        return source[np.arange(len(source))]

    return path.name, call


def flags(rng, folder):
    """Texts of --fix, --sweep, --data_index and --data.path."""
    text, which = wild.edited(rng, "kind=a"), rng.integers(4)
    if which == 0:
        return f"--fix {text}", lambda: given.parse(_table(), [text])
    if which == 1:
        text = wild.edited(rng, "eta=0,1")
        return f"--sweep {text}", lambda: sweep.parse(schema.get_config(), [text])
    if which == 2:
        text = wild.edited(rng, "0:3")
        return f"--data_index {text}", lambda: edit_inputs.from_data([text], _images())
    text = wild.text(rng)
    return f"path {text}", lambda: folders.make(str(folder / text) if text else "")


@cache
def _table():
    return table.from_columns({"height": np.arange(6.0), "kind": [*"ababab"]})


# A kind -> its share of the inputs: what is slow is tried less.
SHARES = {
    spec: 4,
    maker: 4,
    settings: 4,
    prepare: 0.5,
    config_json: 3,
    json_files: 2,
    csv: 2,
    images: 2,
    npz: 2,
    safetensors: 1,
    codes: 1,
    records: 0.3,
    flags: 2,
}
