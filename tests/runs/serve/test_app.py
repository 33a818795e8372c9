"""The app: its answers are those of the run, and a bad request stops nothing."""

import asyncio
import base64
import io
import json
import re
import socket

import httpx
import numpy as np
import pytest
from PIL import Image

from jaxdiff.plots import pictures
from jaxdiff.runs.serve import app as serving
from jaxdiff.runs.serve import films
from jaxdiff.runs.serve.gather import BusyError


def make_client(app):
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


def get(app, *urls, **how):
    """The responses to requests that come at once."""

    async def send():
        async with make_client(app) as client:
            return await asyncio.gather(*(client.get(url, **how) for url in urls))

    return asyncio.run(send())


@pytest.fixture
def make_app(monkeypatch):
    """Of a run that is compiled already, or whose draws are others."""

    def make(served, draw=None):
        monkeypatch.setattr(films, "make_draw", lambda *_: draw or served.draw)
        return serving.make_app(served.run)

    return make


def pixels(url):
    data = base64.b64decode(url.removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def test_a_sample_is_a_film_of_pictures(make_app, images):
    (response,) = get(make_app(images), "/sample?seed=3&label=class+1&num=8")
    assert response.status_code == 200
    film = response.json()
    (expected,) = images.draw([images.request(seed=3, label=1, num=8)])
    np.testing.assert_allclose(film["times"], expected.ts, atol=1e-4)
    assert film["batch"] == 8 and film["seconds"] > 0
    for view, frames in (("x_t", expected.x_t), ("x0", expected.x0)):
        assert len(film[view]) == 4
        for url, frame in zip(film[view], frames, strict=True):
            tiled = pictures.tile(frame)[..., 0]
            np.testing.assert_array_equal(pixels(url), tiled)


def test_a_sample_of_a_table_is_a_film_of_rows(make_app, rows):
    (response,) = get(make_app(rows), "/sample?seed=3&num=8")
    film = response.json()
    (expected,) = rows.draw([rows.request(seed=3, num=8)])
    a, b = expected.x0.values()
    assert np.asarray(film["x0"]).shape == (4, 8, 2)
    np.testing.assert_array_equal(film["x0"], np.stack([a, b], -1))


def test_two_hundred_at_once_are_answered_each_with_its_samples(make_app, images):
    """Half of them are wrong, which stops none of the others."""
    urls = [f"/sample?seed={i}&num=4&guidance={i % 5}" for i in range(100)]
    wrong = [f"/sample?seed=s{i}" for i in range(100)]
    app = make_app(images)
    responses = get(
        app, *[url for pair in zip(urls, wrong, strict=True) for url in pair]
    )
    good, bad = responses[::2], responses[1::2]
    assert {r.status_code for r in good} == {200}
    assert {r.status_code for r in bad} == {400}
    assert "got 's99'" in bad[99].json()["error"]
    assert max(r.json()["batch"] for r in good) == 8  # two requests
    for i in (0, 57, 99):
        (alone,) = images.draw([images.request(seed=i, num=4, guidance=i % 5)])
        shown = pixels(good[i].json()["x0"][-1]).astype(int)
        assert abs(shown - pictures.tile(alone.x0[-1])[..., 0]).max() <= 1


def fail_with(error):
    def draw(requests):
        raise error

    return draw


FAILURES = {
    400: (
        FloatingPointError("1 of 4 samples\nare not finite"),
        "samples are not finite",
    ),
    503: (MemoryError("memory is exhausted"), "memory is exhausted"),
    500: (KeyError("oops"), "a bug, KeyError; the server's terminal has its traceback"),
}


@pytest.mark.parametrize("status", FAILURES)
def test_a_failure_is_one_line(make_app, images, status):
    error, message = FAILURES[status]
    (response,) = get(make_app(images, fail_with(error)), "/sample")
    assert response.status_code == status
    assert message in response.json()["error"]


def test_a_server_that_is_busy_answers_so(make_app, images, monkeypatch):
    def refuse(*_):
        raise BusyError("as many wait as may")

    monkeypatch.setattr(serving.Gatherer, "submit", refuse)
    (response,) = get(make_app(images), "/sample")
    assert (response.status_code, response.json()) == (
        503,
        {"error": "as many wait as may"},
    )


def test_other_paths_methods_and_hosts_are_refused(make_app, images):
    app = make_app(images)
    (missing,) = get(app, "/config.json")
    assert missing.status_code == 404 and "Not Found" in missing.json()["error"]
    (foreign,) = get(app, "/offer", headers={"Host": "example.org"})
    assert foreign.status_code == 400 and "digits" not in foreign.text


def test_the_page_and_its_offer(make_app, images):
    page, offer = get(make_app(images), "/", "/offer")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert offer.json() == json.loads(json.dumps(images.offer._asdict()))


PAGE = serving.PAGE.read_text()


def test_the_page_has_no_external_resources():
    links = re.findall(r"(?:src|href|action|url\()\s*[=(]?\s*[\"']([^\"']+)", PAGE)
    assert links and all(link.startswith("data:") for link in links)
    assert "innerHTML" not in PAGE  # names of classes are text
    assert re.findall(r"https?://[^\s'\"]+", PAGE) == ["http://www.w3.org/2000/svg"]


def test_every_field_of_the_page_has_a_name_and_a_label():
    fields = re.findall(r"<(?:input|select)[^>]*>", PAGE)
    assert len(fields) > 5
    for field in fields:
        name = re.search(r'id="(\w+)"', field)
        assert name
        assert f'for="{name[1]}"' in PAGE or "aria-label" in field, field
    requested = {re.search(r'name="(\w+)"', field) for field in fields} - {None}
    assert {match[1] for match in requested if match} == {
        *("seed", "num", "guidance", "steps", "solver")
    }


def test_a_port_in_use_is_one_line():
    with socket.socket() as other:
        other.bind((serving.HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=rf"--port={port}: .*in use; give another"):
            serving.bind(port)
