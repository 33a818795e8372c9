"""launch.convert, as users run it, on a DDPM of one level."""

import json
import pickle

import jax
import numpy as np
import pytest

from jaxdiff.interop import ddpm, mapping, tensors
from jaxdiff.models import unet
from tests.launch.conftest import launch, one_line

CONFIG = (
    "--config=configs/cifar10_ddpm.py:smoke",
    "--config.model.channels=32",
    "--config.model.norm_groups=32",
    "--config.data.shape=(8, 8, 3)",
)


def small():
    """A DDPM's parameters, made up."""
    fields = {"channels": 32, "multipliers": (1,), "num_blocks": 1, "norm_groups": 32}
    network = unet.make(shape=(8, 8, 3), embedding="add", norm_eps=1e-6, **fields)
    x, t = np.zeros((1, 8, 8, 3), np.float32), np.zeros(1, np.float32)
    like = jax.eval_shape(network.init, jax.random.key(0), x, t)["params"]
    random = np.random.RandomState(0)
    return jax.tree.map(lambda a: np.float32(0.1 * random.normal(size=a.shape)), like)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    file, run = folder / "ddpm.safetensors", folder / "run"
    params = small()
    tensors.write(file, mapping.write(ddpm.table(params), params))
    (folder / "ddpm.pt").write_bytes(pickle.dumps({"a": np.zeros(9)}))
    given, to = f"--from={file}", f"--to={run}"
    one = ("--num=2", "--config.sampler.num_steps=2")
    convert = "launch.convert"
    return folder, launch(
        {
            "run": (convert, given, to, *CONFIG),
            "sample": (
                "launch.sample",
                f"--workdir={run}",
                f"--out={folder}/out",
                *one,
            ),
            "again": (convert, given, to, *CONFIG),
            "no from": (convert, to),
            "no config": (convert, given, f"--to={folder}/new"),
            "a pickle": (convert, f"--from={folder}/ddpm.pt", f"--to={folder}/new"),
            "other": (convert, given, f"--to={folder}/new", *CONFIG[:1]),
            "a run": (convert, f"--from={run}", f"--to={folder}/new"),
            "as edm": (convert, f"--from={run}", f"--to={folder}/new", "--format=edm"),
            "over": (convert, f"--from={run}", f"--to={run}", "--format=diffusers"),
            "its config": (convert, f"--from={run}", f"--to={folder}/new", *CONFIG[:1]),
        }
    )


def test_a_file_becomes_a_run_that_is_sampled(done):
    folder, outcomes = done
    assert outcomes["run"].status == 0, outcomes["run"].err
    number = sum(a.size for a in tensors.read(folder / "ddpm.safetensors").values())
    expected = f"a denoiser of images 8x8x3; {number:,} parameters"
    assert outcomes["run"].out.strip().endswith(expected)
    assert outcomes["sample"].status == 0, outcomes["sample"].err
    config = json.loads((folder / "run" / "config.json").read_text())
    assert config["model"]["embedding"] == "add"


MISTAKES = {
    "again": "run is not empty and holds a run",
    "no from": "--from is missing: which weights",
    "no config": "none of the published networks; give a --config",
    "a pickle": r"ddpm\.pt is a pickle.*torch\.load",
    "a run": "give --format, the one to write the run in: diffusers$",
    "as edm": "a run cannot be written as edm; --format takes diffusers$",
    "over": "run is not empty and holds a run; give a new --to$",
    "its config": "--config is not for the run .*run, which has one: leave it out",
    "other": r"this one needs --config\.model\.channels=32 \(it has 8\)",
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line(done, case):
    folder, outcomes = done
    one_line(outcomes[case], MISTAKES[case])
    assert not (folder / "new").exists()
