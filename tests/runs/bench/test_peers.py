"""Timing in turn with another program: what it is given, and what is refused."""

import importlib
import json
import sys
import time

import numpy as np
import pytest

from jaxdiff.runs.bench import peers, speed
from jaxdiff.runs.experiment import Experiment
from jaxdiff.train import timing

SLOW = """
import json, sys, time
from protocol import serve

def make(work):
    with open({path!r}, "w") as file:
        json.dump(work, file)
    return lambda: time.sleep(0.02), {{
        "program": "sleep", "parameters": {size}, "threads": 1, "dtype": "none"
    }}

serve(make)
"""


@pytest.fixture
def sleeper(tmp_path, monkeypatch):
    """Makes "diffusers" a program of `size` parameters that sleeps 20 ms a call."""
    monkeypatch.setattr(timing, "matmul_rate", lambda dtype: 2e9)

    def make(size):
        folder = tmp_path / str(size)
        folder.mkdir()
        protocol = (peers.PROGRAMS / "protocol.py").read_text()
        (folder / "protocol.py").write_text(protocol)
        code = SLOW.format(path=str(folder / "work.json"), size=size)
        (folder / "sleep.py").write_text(code)
        peer = peers.PEERS["diffusers"]._replace(program="sleep.py", modules=("json",))
        monkeypatch.setattr(peers, "PROGRAMS", folder)
        monkeypatch.setitem(peers.PEERS, "diffusers", peer)
        return folder / "work.json"

    return make


def smoke(**fields):
    config = importlib.import_module("configs.bench").get_config("smoke")
    config.update_from_flattened_dict({"model.norm_groups": 4, **fields})
    return config


def test_both_sides_are_timed_in_turn_and_the_ratio_is_of_medians(sleeper):
    sleeper(1000)
    calls = []
    with peers.started("diffusers", sys.executable, {}) as peer:
        assert peer.facts["program"] == "sleep"
        row = peers.in_turn(
            lambda: (calls.append(0), time.sleep(0.01)), peer, 1005, 3, units=5
        )
    (ratio,) = (v for k, v in row.items() if k.startswith("ratio"))
    # a unit of ours is a fifth of 10 ms, theirs 20; sleeping takes a little longer
    assert 0.08 < ratio < 0.25
    assert row["its ms"].median >= 20
    assert len(calls) > 3 and row["its parameters"] == 1000


def test_a_turn_begins_with_a_run_that_is_not_timed():
    class Peer(peers.Running):
        """Slow in the first run of every turn, as after a pause."""

        def __init__(self):
            facts = ("program", "threads", "dtype", "first")
            self.facts = dict.fromkeys(facts, "") | {"parameters": 1}
            self.runs = iter([1.0, *[9.0, 2.0] * 3])

        def seconds(self, calls):
            return next(self.runs)

    row = peers.in_turn(lambda: None, Peer(), 1, 3)
    assert row["its ms"].low == row["its ms"].high == 2000


@pytest.mark.parametrize("kind", ["step", "forward", "sample"])
def test_a_peer_is_given_the_works_size(sleeper, kind):
    config = smoke()
    size = num_params(config)
    path = sleeper(size)
    bench = getattr(speed, f"bench_{kind}")
    row = bench(config, 1, "diffusers", sys.executable)
    assert row["its parameters"] == row["parameters"] == size
    work = json.loads(path.read_text())
    assert work["what"] == kind and work["shape"] == [8, 8, 1] and work["batch"] == 4
    assert work["clip_norm"] == 1.0 and work["averages"]
    network, m = work["network"], config.model
    widths = [m.channels * one for one in m.multipliers]
    assert network["block_out_channels"] == widths
    assert network["norm_num_groups"] == 4 and network["num_class_embeds"] is None


def num_params(config):
    import jax

    from jaxdiff.train.state import num_params

    return num_params(jax.eval_shape(Experiment(config).task.init, jax.random.key(0)))


def test_other_sizes_are_no_equal_work(sleeper):
    sleeper(1000)
    differ = pytest.raises(ValueError, match="1,000 parameters and ours 1,011")
    with peers.started("diffusers", sys.executable, {}) as peer, differ:
        peers.in_turn(lambda: None, peer, 1011, 1)


def test_what_does_not_fit_is_refused_before_any_work(sleeper, monkeypatch):
    mlp = importlib.import_module("configs.iris").get_config("smoke")
    for config, name, match in (
        (smoke(), "flax", "--against='flax' must be one of diffusers, torch, keras"),
        (mlp, "keras", "is for model.name='residual_unet', and this config's is 'mlp'"),
        (smoke(), "diffusers", "cannot import torch and diffusers; pip install"),
        (mlp, "torch", "is for model.name='basic_unet'"),
    ):
        with pytest.raises(ValueError, match=match):
            speed.bench_step(config, 1, name, "/bin/false")
    sleeper(7)
    with pytest.raises(ValueError, match=r"set --config\.model\.norm_groups"):
        config = smoke(**{"model.norm_groups": 0})
        speed.bench_step(config, 1, "diffusers", sys.executable)
    monkeypatch.setattr(peers, "PROGRAMS", peers.PROGRAMS / "none")
    with pytest.raises(ValueError, match=r"run launch\.bench in a clone"):
        peers.check("diffusers", sys.executable, smoke())


def test_a_program_that_ends_is_an_error(sleeper, capfd):
    path = sleeper(7)
    (path.parent / "sleep.py").write_text("raise SystemExit('out of paper')")
    ended = pytest.raises(ValueError, match="the other program ended")
    with ended, peers.started("diffusers", sys.executable, {}):
        pass
    assert "out of paper" in capfd.readouterr().err


def test_forward_reports_the_products_of_a_network():
    config = importlib.import_module("configs.iris").get_config("smoke")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "matmul_rate", lambda dtype: 2e9)
        row = speed.bench_forward(config, 1, "", "")
    kernels = num_params(config)
    by_hand = 2 * config.train.batch_size * kernels
    assert 0.7 * by_hand < 1e9 * row["GFLOP (XLA)"] < 2 * by_hand
    assert np.isfinite(row["ms"].median)
