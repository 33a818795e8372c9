"""An average and its standard error, by hand."""

import numpy as np
import pytest

from jaxdiff.metrics.averages import average


def test_it_is_the_mean_and_its_error():
    # deviations -2, 0, 2: a variance of 8 / 2, over three values
    got = average([1, 3, 5])
    assert got.value == 3 and got.error == pytest.approx((4 / 3) ** 0.5)
    assert got.named("kid") == {"kid": 3, "kid_error": got.error}


def test_shares_of_yes_and_no_are_binomial():
    yes = np.arange(100) < 20
    got = average(yes)
    assert got.value == pytest.approx(0.2)
    assert got.error == pytest.approx((0.2 * 0.8 / 99) ** 0.5)


def test_single_precision_is_summed_in_double():
    values = np.full(10**6, 0.1, np.float32)
    values[0] = 1e6  # in single precision it would swallow the others
    exact = (1e6 + (10**6 - 1) * float(np.float32(0.1))) / 10**6
    assert average(values).value == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_no_average_of_what_is_not_finite(bad):
    with pytest.raises(FloatingPointError, match="2 of 4 bpd are not finite"):
        average([1.0, bad, 2.0, bad], "bpd")
