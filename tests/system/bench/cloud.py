"""A scriptable, strict second-factor service: HTTPS, Auth API v2, signatures checked, pushes answered by the test."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
import ssl
import time
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl

from tests.system.bench import signing
from tests.system.bench.http1 import BadRequest, HttpRequest, read_request, response
from tests.system.bench.journal import CloudRefused, CloudRequest, CloudVerdict, Journal
from tests.system.bench.loop import Fault, Loop, answer, reset
from tests.system.bench.signing import Refused

Verdict = Literal["allow", "deny", "timeout", "fraud", "locked_out"]
Mode = Literal["well", "refused", "mute", "plain", "hang_up", "alert", "other"]

HOLD = 15.0  # seconds a poll is held while nothing happens
TEXTS = {
    "allow": "Success. Logging you in...",
    "deny": "Login request denied.",
    "timeout": "Login timed out.",
    "fraud": "Login request reported as fraudulent.",
    "locked_out": "Your account is locked out.",
}
# Method and parameters of each endpoint: the required ones, then the others that a proxy may send.
ENDPOINTS: dict[str, tuple[str, set[str], set[str]]] = {
    "ping": ("GET", set(), set()),
    "check": ("GET", set(), set()),
    "preauth": ("POST", {"username"}, {"ipaddr", "hostname", "failmode"}),
    "auth": (
        "POST",
        {"username", "factor"},
        {"ipaddr", "hostname", "async", "device", "passcode", "type", "display_username", "pushinfo"},
    ),
    "auth_status": ("GET", {"txid"}, set()),
}
CAPABILITIES = {"auto", "push", "phone", "sms"}


def ok(body: Any) -> bytes:
    return response(200, {"stat": "OK", "response": body})


def failed(code: int, message: str, *headers: str) -> bytes:
    return response(code // 100, {"stat": "FAIL", "code": code, "message": message}, *headers)


def status(code: int) -> Fault:
    """A gateway's answer with this HTTP status, and nothing that parses."""
    return Fault(octets=response(code, b"<h1>gateway</h1>", content_type="text/html"))


def phone(device: str = "DPHONE", *capabilities: str) -> dict[str, Any]:
    """A device as preauth lists it."""
    return {
        "device": device,
        "type": "phone",
        "capabilities": list(capabilities or ("auto", "push", "sms", "phone", "mobile_otp")),
        "display_name": f"Phone {device}",
    }


@dataclass
class User:
    """`answer` None: a push waits until the test decides."""

    preauth: Literal["auth", "allow", "deny", "enroll"] = "auth"
    answer: Verdict | None = "allow"
    passcodes: set[str] = field(default_factory=set)
    devices: list[dict[str, Any]] = field(default_factory=lambda: [phone()])
    status_msg: str = "Account is active"


@dataclass
class Push:
    """`began`: the order of the journal's auth request."""

    user: str
    began: int
    verdict: Verdict | None
    polled: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Answer:
    """`result`: the verdict in the octets, '' for none; `began`: the request that it is the verdict of."""

    octets: bytes
    result: str = ""
    began: int = 0


class Cloud:
    """Users and faults may be changed while it runs; the port stays the same over every `become`.

    `keys`: integration keys and their secret keys.
    """

    def __init__(
        self,
        loop: Loop,
        journal: Journal,
        context: ssl.SSLContext,
        *,
        host: str,
        keys: dict[str, str],
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._loop, self._journal, self._context = loop, journal, context
        self.host, self.keys, self.address, self.port = host, keys, address, port
        self.users: dict[str, User] = {}
        self.skew = 0.0
        self._faults: list[tuple[str, str | None, Fault]] = []
        self._pushes: dict[str, Push] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.become("well")

    # -- what the test scripts ---------------------------------------------------------------------

    def break_(self, endpoint: str, fault: Fault, user: str | None = None) -> None:
        """The next answers of this endpoint ('*': any) go wrong."""
        self._faults.append((endpoint, user, fault))

    def heal(self) -> None:
        """No more faults, a right clock, and the service on its port."""
        self._faults.clear()
        self.skew = 0.0
        self.become("well")

    def become(self, mode: Mode, context: ssl.SSLContext | None = None) -> None:
        """What listens on the port from now on; connections that are open end.

        The service, nothing, what takes connections and says nothing, HTTP without TLS, what hangs up at once, what
        answers with a TLS alert, or the service with another certificate.
        """
        self._loop.call(self._become(mode, context))

    def decide(self, user: str | None, verdict: Verdict) -> int:
        """Answer this user's waiting pushes (None: everybody's); how many there were."""

        async def set_all() -> int:
            waiting = [p for p in self._pushes.values() if p.verdict is None and user in {p.user, None}]
            for push in waiting:
                push.verdict = verdict
                push.changed.set()
            return len(waiting)

        return self._loop.call(set_all())

    def settle(self) -> None:
        """Nothing is broken, and nobody waits."""
        self._faults.clear()
        self.decide(None, "deny")

    def forget(self, before: int) -> None:
        """The pushes that the journal's first `before` events began: nobody asks after them any more."""
        self._pushes = {txid: push for txid, push in self._pushes.items() if push.began > before}

    # -- the port ----------------------------------------------------------------------------------

    async def _become(self, mode: Mode, context: ssl.SSLContext | None) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            self._server = None
        if mode == "refused":
            return
        modes = {"mute": self._mute, "plain": self._plain, "hang_up": self._hang_up, "alert": self._alert}
        serve = modes.get(mode, self._serve)
        tls = (context or self._context) if mode in {"well", "other"} else None
        self._server = await asyncio.start_server(serve, self.address, self.port, ssl=tls, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _mute(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while await reader.read(65536):
                pass

    async def _plain(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await reader.read(65536)
            writer.write(response(400, b"plain HTTP request sent to the wrong port"))
            await writer.drain()
            writer.close()

    async def _alert(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await reader.read(65536)
            writer.write(b"\x15\x03\x03\x00\x02\x02\x28")  # RFC 8446 §6: fatal, handshake_failure
            await writer.drain()
            writer.close()

    async def _hang_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while (request := await read_request(reader)) is not None:
                await self._respond(writer, request)
        except BadRequest as bad:
            self._refused("", str(bad))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            self._writers.discard(writer)
            with contextlib.suppress(ConnectionError, RuntimeError, ssl.SSLError):
                writer.close()

    # -- the service -------------------------------------------------------------------------------

    async def _respond(self, writer: asyncio.StreamWriter, request: HttpRequest) -> None:
        endpoint = request.path.removeprefix("/auth/v2/")
        try:
            params = self._check(request, endpoint)
        except Refused as refused:
            self._refused(request.path, str(refused))
            await answer(writer, failed(refused.code, str(refused)), None)
            return
        user = self._user_of(params)
        asked = self._journal.add(CloudRequest, endpoint=endpoint, params=params, user=user, host=self.host)
        fault = self._fault(endpoint, user)
        made = await self._answer(endpoint, params, asked.order)
        txid = params.get("txid", "")

        def leaving() -> None:
            if made.result:
                self._journal.add(
                    CloudVerdict,
                    endpoint=endpoint,
                    user=user,
                    result=made.result,
                    began=made.began,
                    txid=txid,
                    host=self.host,
                )

        await answer(writer, await self._closing(endpoint, made.octets), fault, leaving)

    async def _closing(self, endpoint: str, octets: bytes) -> bytes:
        """The answer as it leaves; a place for what has to happen just before."""
        return octets

    def _refused(self, path: str, why: str) -> None:
        self._journal.add(CloudRefused, path=path, why=why, host=self.host)

    def _check(self, request: HttpRequest, endpoint: str) -> dict[str, str]:
        """The parameters of a request that is in order. Raises Refused."""
        if request.headers["host"] not in {self.host, f"{self.host}:{self.port}"}:
            raise Refused(40103, f"Host is {request.headers['host']}")
        if not request.path.startswith("/auth/v2/") or endpoint not in ENDPOINTS:
            raise Refused(40401, "Resource not found")
        method, required, allowed = ENDPOINTS[endpoint]
        if request.method != method:
            raise Refused(40501, f"{request.method} of {endpoint}")
        if endpoint != "ping":
            signing.check(request, self.host, self.keys, skew=self.skew)
        params = signing.parameters(request)
        if missing := required - params.keys():
            raise Refused(40001, f"missing {sorted(missing)}")
        if unknown := params.keys() - required - allowed:
            raise Refused(40002, f"unknown {sorted(unknown)}")
        self._check_values(endpoint, params)
        return params

    def _check_values(self, endpoint: str, params: dict[str, str]) -> None:
        if "ipaddr" in params:
            try:
                ipaddress.ip_address(params["ipaddr"])
            except ValueError:
                raise Refused(40002, f"ipaddr {params['ipaddr']!r}") from None
        if endpoint == "auth":
            self._check_factor(params)
        if endpoint == "auth_status" and params["txid"] not in self._pushes:
            raise Refused(40002, "unknown txid")

    def _check_factor(self, params: dict[str, str]) -> None:
        factor, device = params["factor"], params.get("device")
        if params["username"] not in self.users:
            raise Refused(40002, "auth for a user who isn't there")
        if (factor == "passcode") != ("passcode" in params):
            raise Refused(40002, f"factor {factor} and passcode don't fit")
        if params.get("async", "1") not in {"0", "1"} or len(params.get("pushinfo", "")) > 20_000:
            raise Refused(40002, "async or pushinfo")
        parse_qsl(params.get("pushinfo", ""), strict_parsing="pushinfo" in params)
        if factor == "passcode":
            if device is not None:
                raise Refused(40002, "a passcode with a device")
            return
        if factor not in CAPABILITIES or device is None:
            raise Refused(40002, f"factor {factor} of device {device}")
        able = [
            known["device"]
            for known in self.users[params["username"]].devices
            if factor in known.get("capabilities", ())
        ]
        if not able or device not in {"auto", *able}:
            raise Refused(40002, "no capable device")

    def _user_of(self, params: dict[str, str]) -> str:
        if (push := self._pushes.get(params.get("txid", ""))) is not None:
            return push.user
        return params.get("username", "")

    def _fault(self, endpoint: str, user: str) -> Fault | None:
        for wanted, whose, fault in self._faults:
            if wanted in {endpoint, "*"} and whose in {user, None} and fault.take():
                return fault
        return None

    async def _answer(self, endpoint: str, params: dict[str, str], order: int) -> Answer:
        match endpoint:
            case "preauth":
                return self._preauth(params["username"], order)
            case "auth":
                return await self._auth(params, order)
            case "auth_status":
                return await self._auth_status(self._pushes[params["txid"]])
            case _:
                return Answer(ok({"time": int(time.time() + self.skew)}))

    def _preauth(self, username: str, order: int) -> Answer:
        user = self.users.get(username)
        result = "enroll" if user is None else user.preauth
        body: dict[str, Any] = {"result": result, "status_msg": user.status_msg if user else "Enroll"}
        if user is not None and result == "auth":
            body["devices"] = user.devices
        if result == "enroll":
            body["enroll_portal_url"] = f"https://{self.host}/portal?code=1"
        return Answer(ok(body), result, order)

    async def _auth(self, params: dict[str, str], order: int) -> Answer:
        user = self.users[params["username"]]
        if params["factor"] == "passcode":
            right = params["passcode"] in user.passcodes
            user.passcodes.discard(params["passcode"])
            return _final("allow" if right else "deny", order)
        if params["factor"] == "sms":
            body = {"result": "deny", "status": "sent", "status_msg": "New SMS passcodes sent."}
            return Answer(ok(body), "deny", order)
        txid = secrets.token_hex(16)
        push = self._pushes[txid] = Push(params["username"], order, user.answer)
        if params.get("async") == "1":
            return Answer(ok({"txid": txid}))
        while push.verdict is None:
            await push.changed.wait()
        return _final(push.verdict, order)

    async def _auth_status(self, push: Push) -> Answer:
        if push.verdict is None and push.polled:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(push.changed.wait(), HOLD)
        push.polled = True
        if push.verdict is None:
            body = {"result": "waiting", "status": "pushed", "status_msg": "Pushed a login request..."}
            return Answer(ok(body))
        return _final(push.verdict, push.began)


def _final(verdict: Verdict, began: int) -> Answer:
    result = "allow" if verdict == "allow" else "deny"
    return Answer(ok({"result": result, "status": verdict, "status_msg": TEXTS[verdict]}), result, began)
