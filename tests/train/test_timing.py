"""What a timing counts; how long a call takes no test can assert."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.models.blocks import ResBlock
from jaxdiff.train import timing


def test_measure_calls_once_to_compile_and_then_in_warm_runs():
    calls = []
    first, times = timing.measure(lambda: calls.append(jnp.zeros(())), 1)
    assert len(times) == 1
    # one to compile, one to learn its speed, then about a second of them
    assert len(calls) > 3 and first > 0


def test_flops_of_a_matrix_product_by_hand():
    a, b = jnp.ones((8, 16)), jnp.ones((16, 32))
    assert timing.count_flops(lambda a, b: a @ b, a, b) == 2 * 8 * 16 * 32


def test_flops_of_a_residual_block_by_hand():
    """Products alone, 2 a multiply and add; the elementwise is less than a tenth."""
    b, side, c, f, e = 2, 8, 32, 64, 16
    block = ResBlock(f, "add")
    x, emb = jnp.ones((b, side, side, c)), jnp.ones((b, e))
    params = jax.eval_shape(block.init, jax.random.key(0), x, emb)
    # A 3x3 window is cut at the border: its rows cover 3 side - 2 pixels, not 3 side.
    windows = b * (3 * side - 2) ** 2
    products = windows * c * f + windows * f * f + b * side**2 * c * f + b * e * f
    got = timing.count_flops(block.apply, params, x, emb)
    assert 2 * products < got < 1.1 * 2 * products


@pytest.mark.parametrize(
    ("kind", "dtype", "rate"),
    [
        ("NVIDIA H100 80GB HBM3", "bfloat16", 4 * 989e12),
        ("NVIDIA H100 PCIe", "bfloat16", 4 * 756e12),
        ("NVIDIA L40", "bfloat16", 4 * 181e12),
        ("NVIDIA L400", "bfloat16", 0.0),
        ("NVIDIA H100 80GB HBM3", "float32", 0.0),
        ("cpu", "bfloat16", 0.0),
    ],
)
def test_the_peak_is_that_of_the_longest_name_that_fits(monkeypatch, kind, dtype, rate):
    devices = [SimpleNamespace(device_kind=kind)] * 4
    monkeypatch.setattr(jax, "local_devices", lambda: devices)
    assert timing.peak_rate(dtype) == rate


def test_a_spread_is_of_the_median_and_the_ends():
    spread = timing.spread([3.0, 1.0, 2.0, 9.0])
    assert (spread.median, spread.low, spread.high, spread.runs) == (2.5, 1.0, 9.0, 4)
    assert str(spread) == "2.5 (of 4: 1 to 9)"


def test_the_memory_of_a_program_by_hand():
    """The argument and the result in its place; and where it is not donated, both."""
    a = jnp.ones((256, 1024))  # 1 MiB
    for donated, size in (((0,), 1.0), ((), 2.0)):
        compiled = jax.jit(lambda a: a + 1, donate_argnums=donated).lower(a).compile()
        ((title, got),) = timing.program_memory(compiled).items()
        assert title == "memory of the program, MiB" and got == pytest.approx(size)


def test_the_peak_of_memory_is_one_figure_of_mebibytes():
    ((title, peak),) = timing.peak_memory().items()
    assert title.endswith("memory, MiB") and 50 < peak < 1e6


def test_the_rate_of_matrix_products_by_hand(monkeypatch):
    """2 n^3 FLOPs a product and device, in the best of the times."""
    products = []

    def measure(call, num_runs):
        products.append(np.asarray(call()))
        return 9.0, [0.5, 0.25]

    monkeypatch.setattr(timing, "measure", measure)
    rate = timing.matmul_rate("float32")
    (product,) = products
    devices, n, _ = product.shape
    assert devices == 4 and (product == n).all()
    assert rate == pytest.approx(4 * 2 * n**3 / 0.25)
