"""What a timing counts; how long a call takes no test can assert."""

import jax.numpy as jnp
import numpy as np
import pytest

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


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.6, "5 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (4e5, "111 h 6 min")],
)
def test_times_in_words(seconds, text):
    assert timing.in_words(seconds) == text
