"""What can go wrong with the cloud, and how it is made at the socket; at which stages of a login it can be made."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from tests.system.bench.cloud import failed, ok
from tests.system.bench.http1 import response
from tests.system.bench.loop import Fault as Broken


class Stage(StrEnum):
    """Where the login is when the fault is met."""

    CONNECT = "before preauth"  # nothing has been asked yet: connecting meets it, the probe's too
    PREAUTH = "in preauth"  # and whatever else is asked, the probe too
    PREAUTH_ALONE = "in preauth alone"  # the probe finds the cloud well (F4)
    BETWEEN = "between preauth and auth"  # preauth has said that a factor is due; auth has to connect anew
    AUTH = "in auth"  # the factor has been asked for
    POLLING = "while polling"  # the push is on the phone


class Made(StrEnum):
    """By what a fault is made, which says where one can meet it."""

    PORT = "the cloud's port"
    NAME = "the cloud's name"
    ANSWER = "the answer"


# A port and a name are met by whoever connects, an answer by whoever has asked.
STAGES = {
    Made.PORT: (Stage.CONNECT, Stage.BETWEEN, Stage.POLLING),
    Made.NAME: (Stage.CONNECT, Stage.BETWEEN, Stage.POLLING),
    Made.ANSWER: (Stage.PREAUTH, Stage.PREAUTH_ALONE, Stage.AUTH, Stage.POLLING),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`how`: a mode of the port, what the name resolves to, or what becomes of the answers."""

    name: str
    made: Made
    how: str | Callable[[], Broken]
    times: int = 0  # answers that it spoils; 0: all


def port(name: str, mode: str) -> Fault:
    return Fault(name, Made.PORT, mode)


def resolves(name: str, to: str) -> Fault:
    return Fault(name, Made.NAME, to)


def does(name: str, times: int = 0, **how: Any) -> Fault:
    more = {"times": times} if times else {}
    return Fault(name, Made.ANSWER, partial(Broken, **how, **more), times)


def says(name: str, octets: bytes) -> Fault:
    return does(name, octets=octets)


def gateway(code: int) -> Fault:
    # RFC 9110 §15.3.5: 204 has no body.
    octets = response(code, b"" if code == 204 else b"<h1>gateway</h1>", content_type="text/html")
    return says(f"HTTP {code}", octets)


_LIE = {"result": "allow", "status": "allow", "status_msg": "Success."}
_ALLOW = json.dumps({"stat": "OK", "response": _LIE}).encode()
_DEEP = b'{"stat":"OK","response":' + b"[" * 5000 + b"]" * 5000 + b"}"

_PORTS = [
    port("connection refused", "refused"),
    port("a black hole: no answer to SYN", "black hole"),
    port("silence instead of TLS", "mute"),
    port("RST instead of TLS", "hang_up"),
    port("FIN instead of TLS", "end"),
    port("RST in the handshake", "reset in handshake"),
    port("FIN in the handshake", "end in handshake"),
    port("a handshake that drips", "drip"),
    port("HTTP without TLS on the port", "plain"),
    port("garbage instead of TLS", "garbage"),
    port("a TLS alert", "alert"),
    port("a certificate of another name", "another name"),
    port("a certificate of another authority", "another authority"),
    port("a certificate signed by itself", "self-signed"),
    port("an expired certificate", "expired"),
    port("a certificate that isn't valid yet", "not yet valid"),
    port("TLS 1.1 at most", "old TLS"),
    port("no cipher in common", "no cipher"),
    port("wants a certificate of ours", "client certificate"),
]
_NAMES = [
    resolves("DNS: no answer", "timeout"),
    resolves("DNS: SERVFAIL", "SERVFAIL"),
    resolves("DNS: NXDOMAIN", "NXDOMAIN"),
    resolves("DNS: a loopback address", "127.0.0.1"),
    resolves("DNS: a private address", "10.1.2.3"),
]
_ANSWERS = [
    does("RST instead of an answer", reset=True),
    does("FIN instead of an answer", close=True),
    does("silence instead of an answer", silent=True),
    does("a TLS alert instead of an answer", beneath=b"\x15\x03\x03\x00\x02\x02\x28"),
    does("a TLS record that doesn't decrypt", beneath=b"\x17\x03\x03\x00\x40" + bytes(range(64))),
    does("cut short", keep=150),
    does("stalls", stall=150),
    does("stalls inside the head", stall=30),
    does("drips", drip=0.2),
    says("garbage instead of HTTP", b"SSH-2.0-OpenSSH_9.2\r\n" * 3),
    says("a head without an end", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200_000),
    says("300 KiB", ok({"result": "allow", "status": "allow", "padding": "x" * 300_000})),
    says("less than was announced", response(200, _ALLOW)[:-5]),
    says("not JSON", response(200, b"<html>Sign in to the hotel's network</html>")),
    says("an empty body", response(200, b"")),
    says("JSON, no object", response(200, b'"allow"')),
    says("JSON, nested too deep", response(200, _DEEP)),
    says("200 with stat FAIL", response(200, {"stat": "FAIL", "code": 50000})),
    says("no stat", response(200, {"response": _LIE})),
    says("an unknown stat", response(200, {"stat": "ok", "response": _LIE})),
    says("an unknown result", ok({"result": "permit", "status": "allow", "txid": ["x"]})),
    says("a result of another type", ok({"result": ["allow"], "status": "allow"})),
    says("no result", ok({"status": "allow"})),
    *map(gateway, (204, 302, 400, 401, 403, 404, 405, 418, 429, 500, 501, 502, 503, 504, 599)),
    says("HTTP 500 with a code", failed(50001, "Unknown internal server error")),
    says("HTTP 401, wrong keys", failed(40103, "Invalid signature in request credentials")),
    says("HTTP 429, come back later", failed(42901, "Too Many Requests", "Retry-After: 30")),
    says("the wrong time, also after a resync", failed(40105, "Bad request timestamp")),
    does("slow", delay=0.4),
    does("HTTP 503, once", times=1, octets=response(503, b"")),
    does("RST instead of an answer, once", times=1, reset=True),
]
FAULTS = {fault.name: fault for fault in (*_PORTS, *_NAMES, *_ANSWERS)}
assert len(FAULTS) == len(_PORTS) + len(_NAMES) + len(_ANSWERS), "a name stands there twice"
