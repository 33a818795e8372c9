"""Runs that are served: labelled images and a table of two columns, both tiny."""

from typing import Any, NamedTuple

import pytest

from jaxdiff.runs.experiment import Experiment
from jaxdiff.runs.serve import films
from jaxdiff.runs.serve.offer import Offer, Request, make_offer, parse
from tests.runs.conftest import SPECK, tiny_config, untrained


class Served(NamedTuple):
    """A run, what it offers, and its function that draws."""

    run: Experiment
    offer: Offer
    draw: Any

    def request(self, **fields: object) -> Request:
        query = [(name, str(value)) for name, value in fields.items()]
        return parse(self.run, self.offer, query)


def serve(config, folder):
    run = untrained(config, folder)
    offer = make_offer(run)
    return Served(run, offer, films.make_draw(run, offer.most_num))


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    return serve(tiny_config(**SPECK, sampler__guidance=1.5), folder / "run")


@pytest.fixture(scope="session")
def rows(tmp_path_factory):
    return serve(tiny_config(), tmp_path_factory.mktemp("rows") / "run")
