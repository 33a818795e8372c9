"""How tests see one device instead of four: a step for several takes half as long again
to compile.
"""

import jax
import pytest


def see_one_device(monkeypatch):
    for place in ("devices", "local_devices"):
        first = getattr(jax, place)()[:1]
        monkeypatch.setattr(jax, place, lambda *_, first=first: first)
    for place in ("device_count", "local_device_count"):
        monkeypatch.setattr(jax, place, lambda *_: 1)


@pytest.fixture
def one_device(monkeypatch):
    see_one_device(monkeypatch)
