"""A sampler as one file, which runs where JAX is and jaxdiff is not.

The file is an .npz archive. Its array "program" is a serialised `jax.export.Exported`,

    program(weights, inputs) -> {"x": f32[b, *shape] in model units, and "images":
        u8[b, h, w, c] or "rows": {column: f64[b], or i32[b], the number of a category}}

where weights are the arrays weight0, weight1 and so on, and inputs those that "about"
lists, by name. "about" is JSON:

    format        1, of this file
    jax           the version that wrote it
    convention    of calls to the program: JAX's calling convention version
    platforms     on which the program runs
    weights       how many there are
    inputs        name -> dtype, shape and default, which is that of the sampler. In a
                  shape b is the number of samples, and n that of times: one more than
                  steps
    grids         number of steps -> times, for other numbers of steps
    class_names   of the input "label"
    columns       of a table, in order: name -> categories, or null for numbers
    run           the step, and the fields of its sampler

As in launch.sample, sample i depends on seed, index[i] and its condition alone. A label
that is no class gives x = nan.
"""

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
from jaxdiff.arrays import require, require_extra
from jaxdiff.data import layout as layouts
from jaxdiff.data.decoders import Codes, Pixels, Standardised
from jaxdiff.data.layout import Layout
from jaxdiff.plots import pictures
from jaxdiff.runs.experiment import Experiment
from jaxdiff.runs.sample import sweep
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
    out: Path
    platforms: tuple[str, ...]
    numbers: dict[str, tuple[int, ...]]
    decode: Partial


class Program(NamedTuple):
    """exported: (weights, inputs) -> outputs.  inputs: name -> (spec, default)"""

    exported: export.Exported
    weights: list[Any]
    inputs: dict[str, tuple[jax.ShapeDtypeStruct, Any]]


def prepare(
    run: Experiment, *, out: Path, platforms: Sequence[str], force: bool = False
) -> ExportRequest:
    """Check everything before any work. Errors: ValueError, FileNotFoundError."""
    require_extra("launch.export", "flatbuffers", "export")
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
    above = next(folder for folder in out.absolute().parents if folder.exists())
    require(above.is_dir(), f"--out {out} is in {above}, which is a file, no folder")
    check_used(run.path, run.config, KNOWN, NEEDS_KNOWN)
    run.sampler()  # what does not fit
    numbers = {name: _places(run, name) for name in sweep.swept_fields(run.config)}
    numbers = {name: places for name, places in numbers.items() if places}
    return ExportRequest(run, out, (*platforms,), numbers, _make_decode(run))


def _places(run: Experiment, name: str) -> tuple[int, ...]:
    """The leaves of Shared that are this number of the sampler; () if none are, or if
    it changes others too.
    """
    s = run.config.sampler
    if name == "guidance" and (s.rule != "linear" or s.interval):
        return ()  # at 0 and 1 the sampler takes one estimate, whatever the rule
    try:
        fields = [sweep.sampler_fields(run.config, {name: v}) for v in PROBES]
        runs = [run, *(run.with_sampler(**f) for f in fields)]
        trees = [one.sampler().shared(run.params) for one in runs]
        _, varied = sweep.stack(trees)
    except ValueError:
        return ()  # it makes another program, or has another range
    follow = all(
        np.ndim(leaf) == 0 and leaf == value
        for tree, value in zip(trees[1:], PROBES, strict=True)
        for leaf in [jax.tree.leaves(tree)[i] for i in varied]
    )
    return varied if follow else ()


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

    is_latent = run.config.data.name == "latents"
    coder = run.autoencoder.model if is_latent else None
    _on_device(source.decode, coder)
    return Partial(images, coder)


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
    platforms = ", ".join(request.platforms)
    print(f"exporting step {run.step} for {platforms}", flush=True)
    program = make_program(request)
    text = np.array(json.dumps(_describe(request, program)).encode())
    code = np.frombuffer(program.exported.serialize(), np.uint8)
    weights = {f"weight{i}": np.asarray(w) for i, w in enumerate(program.weights)}
    files.write_arrays(out, {"about": text, "program": code, **weights})
    print(
        f"{out}: {out.stat().st_size / 1e6:,.1f} MB in {time.monotonic() - start:.0f} "
        f"s, {run.sampler().nfe()} NFE each; inputs: {', '.join(program.inputs)}"
    )


def make_program(request: ExportRequest) -> Program:
    """The sampler and the decode as one function of their arrays and of the inputs."""
    sampler = request.run.sampler()
    shared = sampler.shared(request.run.params)
    leaves, structure = jax.tree.flatten((sampler.program(shared), request.decode))
    (times,) = (i for i, leaf in enumerate(leaves) if leaf is shared.ts)
    places = {"times": (times,), **request.numbers}
    weights = [i for i, a in enumerate(leaves) if np.ndim(a) and i != times]
    defaults = {name: leaves[at[0]] for name, at in places.items()}
    inputs, names, cond_structure = _inputs(request.run, defaults)

    def call(arrays, inputs):
        filled = [*leaves]
        for i, array in zip(weights, arrays, strict=True):
            filled[i] = array
        for name, at in places.items():
            for i in at:
                filled[i] = inputs[name]
        draw, decode = jax.tree.unflatten(structure, filled)

        def one(index, cond):  # as a batch of one, so that b may be a symbol
            x = draw(inputs["seed"], *jax.tree.map(lambda a: a[None], (index, cond)))
            return jax.tree.map(lambda a: a[0], {"x": x, **decode(x)})

        cond = jax.tree.unflatten(cond_structure, [inputs[name] for name in names])
        return jax.vmap(one)(inputs["index"], cond)

    arrays = [leaves[i] for i in weights]
    like = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in arrays]
    specs = {name: spec for name, (spec, _) in inputs.items()}
    with jax.numpy_rank_promotion("allow"):
        make = export.export(jax.jit(call), platforms=request.platforms)
        return Program(make(like, specs), arrays, inputs)


def _inputs(run: Experiment, numbers: dict[str, Any]) -> tuple[dict, list[str], Any]:
    """Program.inputs; the names of those of the condition, and its structure.

    numbers: the times f32[n], and numbers by name, with their defaults.
    """
    b, n = export.symbolic_shape("b, n", constraints=["b >= 1", "n >= 2"])
    paths, structure = jax.tree_util.tree_flatten_with_path(run.conditions(1))
    word = "label" if run.num_classes else "cond"
    cond = {word + jax.tree_util.keystr(path): leaf for path, leaf in paths}
    given = {"seed": np.uint32(0), "index": np.zeros(1, np.int32), **cond}
    inputs = {}
    for name, value in {**given, **numbers}.items():
        value = jnp.asarray(value, None if name in given else jnp.float32)
        first = () if not value.ndim else (n,) if name == "times" else (b,)
        shape = (*first, *value.shape[1:])
        inputs[name] = jax.ShapeDtypeStruct(shape, value.dtype), value.tolist()
    return inputs, [*cond], structure


def _describe(request: ExportRequest, program: Program) -> dict[str, Any]:
    """The file's "about"."""
    run, inputs = request.run, program.inputs
    grids = {n: ts for n in STEPS if (ts := _grid(run, n))}
    columns = run.source.layout.columns if run.source.layout else ()
    return {
        "format": FORMAT,
        "jax": jax.__version__,
        "convention": program.exported.calling_convention_version,
        "platforms": request.platforms,
        "weights": len(program.weights),
        "inputs": {
            name: {
                "dtype": spec.dtype.name,
                "shape": [*map(str, spec.shape)],
                "default": default,
            }
            for name, (spec, default) in inputs.items()
        },
        "grids": grids,
        "class_names": run.source.class_names if "label" in inputs else (),
        "columns": {c.name: c.categories or None for c in columns},
        "run": {"step": run.step, "sampler": run.config.sampler.to_dict()},
    }


def _grid(run: Experiment, steps: int) -> list[float]:
    """The grid of so many steps; [] if it has none, such as one of given times."""
    try:
        ts = build.grid_of_steps(run.config, run.schedule, steps)
    except ValueError:
        return []
    return ts.astype(np.float32).tolist()
