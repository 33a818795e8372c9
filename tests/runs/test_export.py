"""A sampler as one file: it gives what launch.sample gives, of every kind of run."""

import json

import jax
import numpy as np
import pytest
from jax import export as jax_export

from jaxdiff.runs import export
from tests.runs.conftest import CLASSIFIER, SPECK, tiny_config, untrained
from tests.runs.test_cascade_run import config_of, upsampler
from tests.runs.test_latents_run import codes_config, encoder_config

ALL = ("cpu", "cuda", "tpu")


def labels(folder):
    """Of a guided run of blobs, whose number of classes is 3."""
    config = tiny_config(**SPECK, sampler__guidance=2.0, sampler__solver="ddim(eta=.5)")
    return untrained(config, folder / "run")


def table(folder):
    config = tiny_config(data__name="iris", diffusion__condition="none")
    return untrained(config, folder / "run")


def latent(folder):
    untrained(encoder_config(), folder / "coder")
    return untrained(codes_config(folder / "coder"), folder / "run")


def cascade(folder):
    base = untrained(config_of(4), folder / "base")
    return untrained(upsampler(base.workdir), folder / "run")


def classifier(folder):
    """An unconditional model with a classifier of its classes."""
    guide = untrained(tiny_config(**CLASSIFIER), folder / "guide")
    fields = {"sampler__classifier": str(guide.workdir), "diffusion__condition": "none"}
    return untrained(tiny_config(**SPECK, **fields), folder / "run")


def weak(folder):
    """With autoguidance, a solver with a memory, and standardised pixels."""
    config = tiny_config(**SPECK, data__standardise=True, diffusion__label_dropout=0.0)
    other = untrained(config, folder / "weak")
    config.sampler.update({"weak": str(other.workdir), "solver": "dpmpp_2m"})
    return untrained(config, folder / "run")


KINDS = [labels, table, latent, cascade, classifier, weak]


@pytest.fixture(scope="module", params=KINDS, ids=lambda f: f.__name__)
def exported(request, tmp_path_factory):
    """(run, about, inputs -> outputs of the file)."""
    folder = tmp_path_factory.mktemp("export")
    run = request.param(folder)
    out = folder / "sampler.jaxdiff"
    export.run(export.prepare(run, out=out, platforms=ALL))
    return run, *read(out)


def read(path):
    """As the README's lines do. The file, and what it gives of given inputs."""
    with np.load(path) as file:
        about, code = json.loads(file["about"].item()), bytearray(file["program"])
        weights = [file[f"weight{i}"] for i in range(about["weights"])]
    program = jax_export.deserialize(code)

    def call(**given):
        inputs = {
            name: np.asarray(given.get(name, at["default"]), at["dtype"])
            for name, at in about["inputs"].items()
        }
        return jax.tree.map(np.asarray, program.call(weights, inputs))

    return about, call


def drawn(run, seed, index):
    """As launch.sample draws: model units, and data units or pixels."""
    index = np.asarray(index)
    cond = run.conditions(100)
    cond = jax.tree.map(lambda a: a[index], cond)
    x = run.sampler().draw(run.params, seed, index, cond)
    return cond, x


def given_of(run, cond):
    return {} if cond is None else {"label": cond}


def test_a_file_gives_what_is_sampled(exported):
    run, about, call = exported
    index = [3, 41, 99]
    cond, x = drawn(run, 5, index)
    out = call(seed=5, index=index, **given_of(run, cond))
    np.testing.assert_allclose(out["x"], x, atol=1e-5)
    if run.source.layout:
        assert [*about["columns"]] == [*run.source.layout.names]
        rows = run.source.decode(x)
        for name, categories in about["columns"].items():
            values = out["rows"][name]
            if categories:
                values = np.array(categories)[values]
            np.testing.assert_array_equal(values, rows[name])
            assert values.dtype == rows[name].dtype
    else:
        pixels = run.pixels(x)
        assert out["images"].dtype == np.uint8 and out["images"].shape == pixels.shape
        levels = np.abs(out["images"].astype(int) - pixels)
        assert (levels == 0).mean() >= 0.999 and levels.max() <= 1
