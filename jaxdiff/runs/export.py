"""A sampler as one file, which runs where JAX is and jaxdiff is not.

The file is an .npz archive. Its array "program" is a serialised `jax.export.Exported`,

    program(weights, inputs) -> {"x": f32[b, *shape] in model units, and "images":
        u8[b, h, w, c] or "rows": {column: f64[b], or i32[b], the number of a category}}

where weights are its arrays weight0, weight1 and so on, and inputs are the arrays that
its "about" lists, by name. "about" is JSON:

    format        1, of this file
    jax           the version that wrote it, and its calling_convention
    platforms     on which the program runs
    weights       how many there are
    inputs        name -> dtype, shape and default, which is that of the sampler. In a
                  shape b is the number of samples, and n that of times: one more than
                  steps
    grids         number of steps -> times, for other numbers of steps
    class_names   of the input "label"
    columns       of a table, in order: name -> categories, or null for numbers
    run           the step, and the fields of its sampler

As in launch.sample, sample i depends on seed, index[i] and its condition alone.
"""

import importlib.util
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jax.tree_util import Partial

from jaxdiff import build, files
from jaxdiff.arrays import require
from jaxdiff.data import layout as layouts
from jaxdiff.data.decoders import Codes, Pixels, Standardised
from jaxdiff.data.layout import Layout
from jaxdiff.data.source import Source
from jaxdiff.plots import pictures
from jaxdiff.runs.experiment import Experiment
from jaxdiff.runs.sample import sweep
from jaxdiff.runs.sampler import Sampler
from jaxdiff.runs.workdir import KNOWN, NEEDS_KNOWN, check_used

FORMAT = 1
PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
# Numbers of steps whose times the file has beside the sampler's.
STEPS = (5, 10, 20, 50, 100)
# A number of the sampler is an input if leaves follow it through these values.
PROBES = (0.25, 0.75)


class ExportRequest(NamedTuple):
    """A checked request of launch.export: see `prepare`.

    numbers: inputs beside those of every sampler -> the leaves of Shared that they are
    decode:  x -> the outputs beside x
    """

    run: Experiment
    sampler: Sampler
    out: Path
    platforms: tuple[str, ...]
    numbers: dict[str, tuple[int, ...]]
    decode: Partial


class Input(NamedTuple):
    """spec: its shape and dtype.  default: in JSON"""

    spec: jax.ShapeDtypeStruct
    default: Any


def prepare(
    run: Experiment, *, out: Path, platforms: Sequence[str], force: bool = False
) -> ExportRequest:
    """Check everything before any work. Errors: ValueError, FileNotFoundError."""
    require(
        importlib.util.find_spec("flatbuffers") is not None,
        "JAX writes programs by the package flatbuffers: pip install 'jaxdiff[export]'",
    )
    require(
        platforms and len({*platforms} & {*PLATFORMS}) == len(platforms),
        f"--platforms must be different ones of {', '.join(PLATFORMS)}, got "
        f"{','.join(platforms)!r}",
    )
    require(not out.is_dir(), f"--out {out} is a folder; give the name of a file")
    require(
        force or not out.exists(),
        f"--out {out} exists; choose another name, or --force to overwrite it",
    )
    check_used(run.path, run.config, KNOWN, NEEDS_KNOWN)
    sampler = run.sampler()
    numbers = {name: _places(run, name) for name in sweep.swept_fields(run.config)}
    numbers = {name: places for name, places in numbers.items() if places}
    decode = _make_decode(run)
    return ExportRequest(run, sampler, out, (*platforms,), numbers, decode)


def _places(run: Experiment, name: str) -> tuple[int, ...]:
    """The leaves of Shared that are that number of the sampler; () for a number that is
    no leaf, or changes others too.
    """
    try:
        fields = [sweep.sampler_fields(run.config, {name: v}) for v in PROBES]
        runs = [run, *(run.with_sampler(**f) for f in fields)]
        _, varied = sweep.stack([r.sampler().shared(r.params) for r in runs])
    except ValueError:
        return ()  # it chooses the program, or has another range
    probed = [jax.tree.leaves(r.sampler().shared(r.params)) for r in runs[1:]]
    same = [
        np.ndim(leaves[i]) == 0 and leaves[i] == value
        for leaves, value in zip(probed, PROBES, strict=True)
        for i in varied
    ]
    return varied if all(same) else ()


def _make_decode(run: Experiment) -> Partial:
    """x f32[b, *shape] -> the outputs beside x, as a value that JAX can trace.

    Errors: ValueError for data that are decoded by a function from Python.
    """
    source = run.source
    if source.layout:
        return Partial(partial(_rows, source.layout))

    def images(coder, x):
        pixels = _on_device(source.decode, coder)(x)
        return {"images": pictures.to_uint8(pixels, source.peak)}

    latent = run.config.data.name == "latents"
    _on_device(source.decode, None)
    return Partial(images, run.autoencoder.model if latent else None)


def _rows(layout: Layout, x: jax.Array) -> dict[str, Any]:
    """The columns, with numbers in f64 and rounded as in layout.decode, bit for bit."""
    rows = {}
    for column in layout.columns:
        if column.categories:
            rows[column.name] = layouts.decode_column(layout, column, x)
            continue
        with jax.enable_x64(True):
            exact = x.astype(jnp.float64)
            values = layouts.decode_column(layout, column, exact, rounded=False)
            if column.decimals is not None:
                unit = 10.0**column.decimals
                whole = (values * unit).round()
                # XLA would turn a division by one number into a product with its
                # inverse, which is not exact: 5.800000000000001
                values = whole / (unit + 0.0 * whole) + 0.0  # never -0
            rows[column.name] = values
    return {"rows": rows}


def _on_device(decode: Any, coder: Any) -> Callable[..., Any]:
    """A decode of images that JAX can trace. coder: of codes."""
    if isinstance(decode, Standardised):
        return decode._replace(decode=_on_device(decode.decode, coder))
    if isinstance(decode, Codes):
        inner = _on_device(decode.decode, None)
        return lambda z: inner(coder.decode(z))
    require(
        isinstance(decode, Pixels),
        "these samples are decoded by a function from Python, which cannot be exported",
    )
    return decode


def run(request: ExportRequest) -> None:
    """Trace, lower and write the file, whole or not at all. Errors: OSError."""
    start, out, run = time.monotonic(), request.out, request.run
    names = ", ".join(request.platforms)
    print(f"exporting step {run.step} for {names}", flush=True)
    program, weights, inputs = make_program(request)
    arrays = {f"weight{i}": np.asarray(leaf) for i, leaf in enumerate(weights)}
    about = {
        "format": FORMAT,
        "jax": jax.__version__,
        "calling_convention": program.calling_convention_version,
        "platforms": request.platforms,
        "weights": len(weights),
        "inputs": {
            name: {
                "dtype": spec.dtype.name,
                "shape": [*map(str, spec.shape)],
                "default": default,
            }
            for name, (spec, default) in inputs.items()
        },
        "grids": _grids(run),
        "class_names": run.source.class_names if "label" in inputs else [],
        "columns": _columns(run.source),
        "run": {"step": run.step, "sampler": run.config.sampler.to_dict()},
    }
    code = np.frombuffer(bytes(program.serialize()), np.uint8)
    text = np.array(json.dumps(about).encode())
    files.write_arrays(out, {"about": text, "program": code, **arrays})
    print(
        f"{out}: {out.stat().st_size / 1e6:,.1f} MB in "
        f"{time.monotonic() - start:.0f} s; {request.sampler.nfe()} NFE each; inputs "
        f"{', '.join(inputs)}"
    )


def make_program(
    request: ExportRequest,
) -> tuple[export.Exported, list[Any], dict[str, Input]]:
    """The program, its weights, and its inputs by name."""
    sampler = request.sampler
    shared = sampler.shared(request.run.params)
    whole = sampler.program(shared), request.decode
    leaves, structure = jax.tree.flatten(whole)
    is_weight = [np.ndim(leaf) > 0 for leaf in leaves]
    times = next(i for i, leaf in enumerate(leaves) if leaf is shared.ts)
    is_weight[times] = False
    places = {"times": (times,), **request.numbers}
    inputs, cond_names, cond_structure = _inputs(request, leaves, shared.ts)

    def call(weights, inputs):
        rest = iter(weights)
        filled = [
            next(rest) if weight else leaf
            for weight, leaf in zip(is_weight, leaves, strict=True)
        ]
        for name, where in places.items():
            for i in where:
                filled[i] = inputs[name]
        draw, decode = jax.tree.unflatten(structure, filled)

        def one(index, cond):  # as a batch of one, so that b may be a symbol
            alone = jax.tree.map(lambda a: a[None], (index, cond))
            x = draw(inputs["seed"], *alone)
            out = {"x": x, **decode(x)}
            return jax.tree.map(lambda a: a[0], out)

        cond = jax.tree.unflatten(cond_structure, [inputs[k] for k in cond_names])
        return jax.vmap(one)(inputs["index"], cond)

    weights = [leaf for leaf, is_one in zip(leaves, is_weight, strict=True) if is_one]
    like = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in weights]
    specs = {name: spec for name, (spec, _) in inputs.items()}
    with jax.numpy_rank_promotion("allow"):
        program = export.export(jax.jit(call), platforms=request.platforms)(like, specs)
    return program, weights, inputs


def _inputs(
    request: ExportRequest, leaves: Sequence[Any], ts: jax.Array
) -> tuple[dict[str, Input], list[str], Any]:
    """The inputs by name; those of the condition, and its structure."""
    b, n = export.symbolic_shape("b, n", constraints=["b >= 1", "n >= 2"])
    cond = request.run.conditions(1)
    paths, structure = jax.tree_util.tree_flatten_with_path(cond)
    word = "label" if request.run.num_classes else "cond"
    names = [word + jax.tree_util.keystr(path) for path, _ in paths]

    def given(shape, dtype, default):
        return Input(jax.ShapeDtypeStruct(shape, dtype), default)

    inputs = {"seed": given((), np.uint32, 0), "index": given((b,), np.int32, [0])}
    for name, (_, leaf) in zip(names, paths, strict=True):
        leaf = jnp.asarray(leaf)
        inputs[name] = given((b, *leaf.shape[1:]), leaf.dtype, leaf.tolist())
    inputs["times"] = given((n,), np.float32, np.asarray(ts).tolist())
    for name, places in request.numbers.items():
        inputs[name] = given((), np.float32, float(leaves[places[0]]))
    return inputs, names, structure


def _grids(run: Experiment) -> dict[int, list[float]]:
    """The times of other numbers of steps, of those that the grid has."""
    grids = {}
    for steps in STEPS:
        try:
            config = run.with_sampler(num_steps=steps).config
            ts = build.make_grid(config, run.schedule)
        except ValueError:  # such as a grid of given times
            continue
        grids[steps] = ts.astype(np.float32).tolist()
    return grids


def _columns(source: Source) -> dict[str, Any]:
    columns = source.layout.columns if source.layout else ()
    return {column.name: column.categories or None for column in columns}
