"""Notes and times in words."""

import pytest

from jaxdiff import notes


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.6, "5 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (4e5, "111 h 6 min")],
)
def test_times_in_words(seconds, text):
    assert notes.in_words(seconds) == text
