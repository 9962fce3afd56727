"""A scriptable, strict second-factor service: HTTPS, Auth API v2, signatures checked, pushes answered by the test."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json
import secrets
import ssl
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.system.bench import signing
from tests.system.bench.journal import CloudRefused, CloudRequest, CloudVerdict, Journal
from tests.system.bench.loop import Fault, Loop, answer

Verdict = Literal["allow", "deny", "timeout", "fraud", "locked_out"]
HOLD = 15.0  # seconds a poll is held while nothing happens
TEXTS = {
    "allow": "Success. Logging you in...",
    "deny": "Login request denied.",
    "timeout": "Login timed out.",
    "fraud": "Login request reported as fraudulent.",
    "locked_out": "Your account is locked out.",
}


def http(
    status: int, body: bytes | dict[str, Any], *headers: str, content_type: str = "application/json"
) -> bytes:
    """One complete response."""
    octets = json.dumps(body).encode() if isinstance(body, dict) else body
    lines = [
        f"HTTP/1.1 {status} Scripted",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(octets)}",
        f"Date: {email.utils.formatdate(usegmt=True)}",
        *headers,
    ]
    return "\r\n".join((*lines, "", "")).encode() + octets


def ok(response: Any) -> bytes:
    return http(200, {"stat": "OK", "response": response})


def failed(code: int, message: str) -> bytes:
    return http(code // 100, {"stat": "FAIL", "code": code, "message": message})


def status(code: int) -> Fault:
    """A gateway's answer with this HTTP status, and nothing that parses."""
    return Fault(octets=http(code, b"<h1>gateway</h1>", content_type="text/html"))


def phone(device: str = "DPHONE") -> dict[str, Any]:
    capabilities = ["auto", "push", "sms", "phone", "mobile_otp"]
    return {
        "device": device,
        "type": "phone",
        "capabilities": capabilities,
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
    user: str
    verdict: Verdict | None
    polled: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Cloud:
    """Users and faults may be changed while it runs; the port stays the same over every `become`."""

    def __init__(
        self, loop: Loop, journal: Journal, context: ssl.SSLContext, *, host: str, ikey: str, skey: str
    ) -> None:
        self._loop, self._journal, self._context = loop, journal, context
        self.host, self.ikey, self.skey = host, ikey, skey
        self.users: dict[str, User] = {}
        self.skew = 0.0
        self.port = 0
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
        self._faults.clear()

    def become(
        self,
        mode: Literal["well", "refused", "mute", "plain", "other"],
        context: ssl.SSLContext | None = None,
    ) -> None:
        """What listens on the port: the service, nothing, a black hole, HTTP without TLS, or another's certificate."""
        self._loop.call(self._become(mode, context))

    def decide(self, user: str, verdict: Verdict) -> int:
        """Answer this user's waiting pushes; how many there were."""

        async def set_all() -> int:
            waiting = [push for push in self._pushes.values() if push.user == user and push.verdict is None]
            for push in waiting:
                push.verdict = verdict
                push.changed.set()
            return len(waiting)

        return self._loop.call(set_all())

    # -- the service -------------------------------------------------------------------------------

    async def _become(self, mode: str, context: ssl.SSLContext | None) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            self._server = None
        if mode == "refused":
            return
        serve = {"mute": self._mute, "plain": self._plain}.get(mode, self._serve)
        tls = None if mode in {"mute", "plain"} else context or self._context
        self._server = await asyncio.start_server(serve, "127.0.0.1", self.port, ssl=tls, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _mute(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while await reader.read(65536):
                pass

    async def _plain(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await reader.read(65536)
            writer.write(http(400, b"plain HTTP request sent to the wrong port"))
            await writer.drain()
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while (head := await _read_head(reader)) is not None:
                method, target, headers = head
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                await self._respond(writer, method, target, headers, body)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            self._writers.discard(writer)
            with contextlib.suppress(ConnectionError, RuntimeError, ssl.SSLError):
                writer.close()

    async def _respond(
        self, writer: asyncio.StreamWriter, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> None:
        path = target.partition("?")[0]
        endpoint = path.removeprefix("/auth/v2/")
        try:
            self._check(method, target, headers, body, endpoint)
        except signing.Unsigned as refused:
            self._journal.add(CloudRefused, path=path, why=str(refused))
            await answer(writer, failed(refused.code, str(refused)), None)
            return
        params = signing.parameters(target, headers, body)
        user = self._user_of(params)
        self._journal.add(CloudRequest, endpoint=endpoint, params=params, user=user)
        fault = self._fault(endpoint, user)
        reply, verdict = await self._answer(endpoint, params)
        if verdict is not None and (fault is None or not _hides(fault)):
            self._journal.add(
                CloudVerdict, endpoint=endpoint, user=user, result=verdict, txid=params.get("txid", "")
            )
        await answer(writer, reply, fault)

    def _check(self, method: str, target: str, headers: dict[str, str], body: bytes, endpoint: str) -> None:
        if (
            headers.get("host", "").rpartition(":")[0] not in {self.host, ""}
            and headers.get("host") != self.host
        ):
            raise signing.Unsigned(40103, f"Host is {headers.get('host')}")
        if endpoint != "ping":
            signing.check(method, self.host, target, headers, body, self.ikey, self.skey, skew=self.skew)

    def _user_of(self, params: dict[str, str]) -> str:
        if (push := self._pushes.get(params.get("txid", ""))) is not None:
            return push.user
        return params.get("username", "")

    def _fault(self, endpoint: str, user: str) -> Fault | None:
        for wanted, whose, fault in self._faults:
            if wanted in {endpoint, "*"} and whose in {user, None} and fault.take():
                return fault
        return None

    async def _answer(self, endpoint: str, params: dict[str, str]) -> tuple[bytes, str | None]:
        """The right answer, and the verdict in it if there is one."""
        if endpoint in {"ping", "check"}:
            return ok({"time": int(time.time() + self.skew)}), None
        if endpoint == "preauth":
            return self._preauth(params)
        if endpoint == "auth":
            return await self._auth(params)
        if endpoint == "auth_status":
            return await self._auth_status(params)
        return failed(40401, "Resource not found"), None

    def _preauth(self, params: dict[str, str]) -> tuple[bytes, str | None]:
        user = self.users.get(params.get("username", ""))
        result = "enroll" if user is None else user.preauth
        response: dict[str, Any] = {"result": result, "status_msg": user.status_msg if user else "Enroll"}
        if user is not None and result == "auth":
            response["devices"] = user.devices
        if result == "enroll":
            response["enroll_portal_url"] = f"https://{self.host}/portal?code=1"
        return ok(response), result if result in {"allow", "deny"} else None

    async def _auth(self, params: dict[str, str]) -> tuple[bytes, str | None]:
        user = self.users.get(params.get("username", ""))
        if user is None:
            return failed(40002, "Invalid request parameters"), None
        if params.get("factor") == "passcode":
            right = params.get("passcode") in user.passcodes
            user.passcodes.discard(params.get("passcode", ""))
            return _final("allow" if right else "deny")
        if params.get("factor") == "sms":
            return ok({"result": "deny", "status": "sent", "status_msg": "New SMS passcodes sent."}), "deny"
        txid = secrets.token_hex(16)
        push = self._pushes[txid] = Push(params["username"], user.answer)
        if params.get("async") == "1":
            return ok({"txid": txid}), None
        while push.verdict is None:
            await push.changed.wait()
        return _final(push.verdict)

    async def _auth_status(self, params: dict[str, str]) -> tuple[bytes, str | None]:
        push = self._pushes.get(params.get("txid", ""))
        if push is None:
            return failed(40002, "Invalid request parameters"), None
        if push.verdict is None and push.polled:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(push.changed.wait(), HOLD)
        push.polled = True
        if push.verdict is None:
            return ok(
                {"result": "waiting", "status": "pushed", "status_msg": "Pushed a login request..."}
            ), None
        return _final(push.verdict)


def _final(verdict: Verdict) -> tuple[bytes, str]:
    result = "allow" if verdict == "allow" else "deny"
    return ok({"result": result, "status": verdict, "status_msg": TEXTS[verdict]}), result


def _hides(fault: Fault) -> bool:
    """Whether the answer does not reach the proxy whole."""
    return fault.silent or fault.reset or fault.close or fault.keep is not None or fault.octets is not None


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str]] | None:
    """Request line and headers, strictly; None at the end of the connection."""
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *rest = head[:-4].decode("latin-1").split("\r\n")
    method, target, version = first.split(" ")
    assert version == "HTTP/1.1", version
    pairs = [line.partition(":") for line in rest]
    return method, target, {name.lower(): value.strip() for name, _, value in pairs}
