"""The HTTP side of `main.admin`: GET only, with short answers. Only the path of a request is used."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import field
from http import HTTPStatus
from importlib.resources import files
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.protocols.policies import WrappingFactory
from twisted.web.http import HTTPChannel
from twisted.web.http import Request as HttpRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from authproxy.listeners.admin.guard import Asked, Guard, Refusal
from authproxy.listeners.admin.live import Live
from authproxy.listeners.admin.markup import Markup
from authproxy.listeners.admin.overview import Overview
from authproxy.listeners.admin.page import About, page, parts
from authproxy.listeners.admin.report import readyz, status
from authproxy.listeners.descriptors import Descriptors
from authproxy.observe.lines import timestamp
from authproxy.observe.log import Log
from authproxy.values import light_dataclass

_IDLE = 30  # seconds that a connection may wait for its next request
MOST_CONNECTIONS = 64
_JSON, _HTML = "application/json", "text/html; charset=utf-8"
_STATIC = {
    "status.css": "text/css; charset=utf-8",
    "status.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}

# No script, style or image but ours, nothing sent anywhere, in nobody's frame.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


# What a refusal has to say beside its status (RFC 9110 §15.5.2, §15.5.6).
_ASKED_FOR = {
    HTTPStatus.METHOD_NOT_ALLOWED: {"Allow": "GET, HEAD"},
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": 'Basic realm="authproxy", charset="UTF-8"'},
}


@light_dataclass(frozen=True, slots=True)
class Answer:
    status: int
    kind: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Admin(Resource):
    """Every path; each answer is made when it is asked for."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(
        self,
        overview: Overview,
        *,
        metrics: Callable[[], bytes],
        metrics_kind: str,
        guard: Guard,
        about: About,
        reactor: IReactorTime,
        log: Log,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`metrics()` makes the page of GET /metrics, with content type `metrics_kind`."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._overview = overview
        self._metrics = metrics
        self._metrics_kind = metrics_kind
        self._guard = guard
        self._about = about
        self._log = log
        self._wall_clock = wall_clock
        self.live = Live(self._parts, reactor=reactor, log=log)
        self._static = {
            f"/{name}": Answer(200, kind, files(__package__).joinpath("static", name).read_bytes())
            for name, kind in _STATIC.items()
        } | {"/livez": Answer(200, "text/plain; charset=utf-8", b"ok\n")}

    def render(self, request: Request) -> bytes | int:
        """Twisted's entry. Never raises: a bug is 500 and a line in the log (A19)."""
        path, _, query = request.uri.partition(b"?")
        refusal = self._guard.refuses(
            Asked(request.method, path, _header(request, b"host"), _header(request, b"authorization"))
        )
        if refusal is not None:
            return self._send(request, self._refused(request, refusal))
        if path == b"/events" and not self.live.is_full:
            self._begin(request, Answer(200, "text/event-stream", b""))
            self.live.add(request)
            return NOT_DONE_YET
        try:
            answer = self._answer(path.decode("latin-1"), query.decode("latin-1"))
        except Exception as bug:  # noqa: BLE001 - the listener's catch-all
            self._log.failure("admin.failed", bug)
            answer = _text(HTTPStatus.INTERNAL_SERVER_ERROR)
        return self._send(request, answer)

    def _answer(self, path: str, query: str) -> Answer:
        if (fixed := self._static.get(path)) is not None:
            return fixed
        match path:
            case "/readyz":
                return self._readyz(query)
            case "/metrics":
                return Answer(200, self._metrics_kind, self._metrics())
            case "/status":
                return _json(200, status(self._overview, self._about_json()))
            case "/":
                return Answer(200, _HTML, page(self._parts(), self._about.hostname).encode())
            case _:
                return _text(HTTPStatus.SERVICE_UNAVAILABLE if path == "/events" else HTTPStatus.NOT_FOUND)

    def _readyz(self, query: str) -> Answer:
        section = parse_qs(query).get("section", [None])[0]
        found = readyz(self._overview, section)
        if found is None:
            return _text(HTTPStatus.NOT_FOUND)
        ready, body = found
        return _json(200 if ready else 503, body)

    def _parts(self) -> dict[str, Markup]:
        return parts(self._overview, self._about, self._wall_clock())

    def _about_json(self) -> dict[str, object]:
        about = self._about
        return {"hostname": about.hostname, "version": about.version, "started": timestamp(about.started)}

    def _refused(self, request: Request, refusal: Refusal) -> Answer:
        source = getattr(request.getClientAddress(), "host", "")
        self._log.warn("admin.refused", cause=refusal.why, source=source, path=request.path)
        return _text(refusal.status, _ASKED_FOR.get(refusal.status))

    def _send(self, request: Request, answer: Answer) -> bytes:
        self._begin(request, answer)
        request.setHeader("Content-Length", str(len(answer.body)))
        return b"" if request.method == b"HEAD" else answer.body

    def _begin(self, request: Request, answer: Answer) -> None:
        request.responseHeaders.removeHeader("server")
        request.setResponseCode(answer.status)
        for name, value in (_HEADERS | answer.headers | {"Content-Type": answer.kind}).items():
            request.setHeader(name, value)


class _BodilessRequest(Request):
    """GET has no body; who sends one is not waited for, and it is kept nowhere."""

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        if data:
            self.channel.loseConnection()


class _Channel(HTTPChannel):
    @property
    def waits(self) -> bool:
        """For the rest of a request, or for one: nothing is being answered."""
        return self.timeOut is not None

    def resetTimeout(self) -> None:  # noqa: N802 - Twisted's name
        """Not at every octet: a request that drips in has to be whole when its time is over (A9)."""


class _QuietSite(Site):
    protocol = _Channel  # type: ignore[assignment]  # twisted's own would offer HTTP/2, too

    def log(self, request: HttpRequest) -> None:
        """No access log: scrapes and health checks would be all that is in it."""


class _Limited(WrappingFactory[Any]):
    """So many connections and no more: nobody is served by running out of descriptors.

    Who comes last is served: what asks whether we live must not be kept out by those who connect and say nothing.
    """

    descriptors: Descriptors

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:  # noqa: N802 - Twisted's name
        # Where descriptors are few, most of them are for people who log in.
        most = min(MOST_CONNECTIONS, max(2, self.descriptors.most // 4))
        if (len(self.protocols) >= most and not self._make_room()) or not self.descriptors.take(1):
            return None
        built: Protocol | None = super().buildProtocol(addr)
        return built

    def _make_room(self) -> bool:
        """By ending the one that has been waited for longest; False: each is being answered."""
        for connection in self.protocols:
            if connection.wrappedProtocol.waits:
                connection.transport.abortConnection()
                return True
        return False

    def unregisterProtocol(self, p: Any) -> None:  # noqa: N802 - Twisted's name
        self.descriptors.give_back(1)
        super().unregisterProtocol(p)  # type: ignore[no-untyped-call]


def admin_factory(
    admin: Admin, reactor: IReactorTime, descriptors: Descriptors | None = None
) -> WrappingFactory[Any]:
    """For listenTCP or listenSSL. The caller makes sure that only a loopback address goes without TLS and token."""
    site = _QuietSite(  # type: ignore[no-untyped-call]
        admin, requestFactory=_BodilessRequest, timeout=_IDLE, reactor=reactor
    )
    limited = _Limited(site)  # type: ignore[no-untyped-call]
    limited.descriptors = Descriptors() if descriptors is None else descriptors
    return limited


def _header(request: Request, name: bytes) -> bytes | None:
    """One value, or None: two Hosts or two tokens are none."""
    values = request.requestHeaders.getRawHeaders(name, [])
    return values[0] if len(values) == 1 else None


def _json(code: int, body: dict[str, object]) -> Answer:
    return Answer(code, _JSON, (json.dumps(body, indent=1) + "\n").encode())


def _text(status: HTTPStatus, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, "text/plain; charset=utf-8", f"{status.phrase}\n".encode(), headers or {})


def host_names(hostname: str) -> frozenset[str]:
    """The names that a request's Host header may have, beside localhost and IP addresses."""
    return frozenset({hostname.lower()} - {""})
