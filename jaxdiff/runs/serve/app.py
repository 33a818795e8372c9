"""The page and what it requests, as an ASGI app on the loopback interface.

GET /         the page, one file without anything external
GET /offer    what can be requested, an Offer
GET /sample   the film of a Request: its times and, for x_t and x0, a picture of all its
              samples at each of them, or the rows of a table
An error is {"error": one line}: 400 for a request that the run cannot meet, 503 while
as many wait as may, 500 for a bug, whose traceback the terminal shows.
"""

import asyncio
import base64
import io
import json
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from jaxdiff.plots import pictures
from jaxdiff.plots.saving import squeeze
from jaxdiff.runs.experiment import Experiment
from jaxdiff.runs.serve import films, offer
from jaxdiff.runs.serve.films import Film
from jaxdiff.runs.serve.gather import BusyError, Gatherer
from jaxdiff.runs.serve.offer import BadRequestError

PAGE = Path(__file__).with_name("page.html")
HOST = "127.0.0.1"
# Names of the interface; under another name a foreign page could read what it holds.
NAMES = ("127.0.0.1", "localhost")
# Requests that may wait, and connections that may be open.
MOST_WAITING, MOST_OPEN = 512, 1024
# The page loads nothing, and sends its requests to this server alone.
POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data:; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; frame-ancestors 'none'"
)
# Errors of a request, and of a server that may do better later; others are bugs.
REFUSED, BUSY = (BadRequestError, FloatingPointError), (BusyError, MemoryError)


def make_app(run: Experiment) -> Starlette:
    """Errors: ValueError for a run that cannot be sampled."""
    offered = offer.make_offer(run)
    most = offered.most_num
    gatherer = Gatherer(films.make_draw(run, most), most, MOST_WAITING)

    async def page(request: HttpRequest) -> Response:
        headers = {"Content-Security-Policy": POLICY}
        return HTMLResponse(PAGE.read_bytes(), headers=headers)

    async def show(request: HttpRequest) -> Response:
        return JSONResponse(offered._asdict())

    async def sample(request: HttpRequest) -> Response:
        start = time.monotonic()
        wish = offer.parse(run, offered, request.query_params.multi_items())
        result = gatherer.submit(wish, films.group_of(wish), wish.num)
        film = await asyncio.wrap_future(result)
        seconds = {"seconds": round(time.monotonic() - start, 3)}
        return Response(
            await run_in_threadpool(lambda: json.dumps(describe(film) | seconds)),
            media_type="application/json",
        )

    async def fail(request: HttpRequest, error: Exception) -> Response:
        status = 503 if isinstance(error, BUSY) else getattr(error, "status_code", 400)
        return JSONResponse({"error": " ".join(str(error).split())}, status)

    async def crash(request: HttpRequest, error: Exception) -> Response:
        text = f"a bug, {type(error).__name__}; the server's terminal has its traceback"
        return JSONResponse({"error": text}, 500)

    return Starlette(
        routes=[Route("/", page), Route("/offer", show), Route("/sample", sample)],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[*NAMES])],
        exception_handlers={
            **dict.fromkeys((*REFUSED, *BUSY, HTTPException), fail),
            Exception: crash,
        },
    )


def describe(film: Film) -> dict[str, Any]:
    """A film for the page: pictures as URLs that hold a PNG, rows as lists."""
    return {
        "times": [round(float(t), 4) for t in film.ts],
        "x_t": _show(film.x_t),
        "x0": _show(film.x0),
        "batch": film.batch,
    }


def _show(frames: Any) -> list[Any]:
    return _rows(frames) if isinstance(frames, dict) else _pictures(frames)


def _pictures(frames: np.ndarray) -> list[str]:
    urls = []
    for images in frames:
        file = io.BytesIO()
        Image.fromarray(squeeze(pictures.tile(images))).save(file, "PNG")
        data = base64.b64encode(file.getvalue()).decode()
        urls.append(f"data:image/png;base64,{data}")
    return urls


def _rows(table: dict[str, np.ndarray]) -> list[list[list[Any]]]:
    """[frame][row][column]."""
    frames = zip(*(column.tolist() for column in table.values()), strict=True)
    return [[[*row] for row in zip(*frame, strict=True)] for frame in frames]


def bind(port: int) -> socket.socket:
    """A socket of the loopback interface. Errors: OSError for a port in use."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(MOST_OPEN)
    except OSError as error:
        listener.close()
        raise OSError(
            f"--port={port}: {error.strerror}; give another, or 0 for any that is free"
        ) from None
    return listener


def serve(app: Starlette, listener: socket.socket) -> None:
    """Answer until the process ends."""
    config = uvicorn.Config(
        app,
        loop="asyncio",  # others replace the signal handlers of the launchers
        http="h11",
        ws="none",
        lifespan="off",
        log_level="error",
        limit_concurrency=MOST_OPEN,
        # a kept connection that times out as its client writes would lose a request
        headers=[("Connection", "close")],
    )
    uvicorn.Server(config).run(sockets=[listener])
