"""Signed calls of the Auth API v2, and what is done about 429 (too many calls) and 40105 (wrong clock)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from json.encoder import encode_basestring_ascii
from typing import Any

from twisted.internet.task import deferLater

from authproxy import __version__
from authproxy.backends.cloud.answers import Refused, read_time, response_of
from authproxy.backends.cloud.http1 import Reply
from authproxy.backends.cloud.pool import Pool
from authproxy.backends.cloud.settings import CloudSettings
from authproxy.backends.tls import host_name
from authproxy.observe.log import Log
from authproxy.pipeline.ports import CloudFailure, FailureClass
from authproxy.protocols.cloud.dates import read_retry_after, write_date
from authproxy.protocols.cloud.signing import Refusal, Signer, canonical_params
from authproxy.values import light_dataclass

MOST_THROTTLED = 2  # retries after 429
_BACK_OFF = (1.0, 2.0)  # seconds, where the service names no time


@light_dataclass(frozen=True, slots=True)
class Call:
    """One call. `repeatable`: sending it twice has the same effect as sending it once."""

    method: str
    endpoint: str
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    repeatable: bool = True
    signed: bool = True


PING = Call("GET", "ping", signed=False)
CHECK = Call("GET", "check")


class Api:
    """Deadlines are in the reactor's seconds. Once the service had to tell its time, calls are signed with that."""

    def __init__(
        self, settings: CloudSettings, pool: Pool, *, reactor: Any, log: Log, wall_clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._reactor = reactor
        self._log = log
        self._wall_clock = wall_clock
        self._ahead = 0.0  # of our clock, the service's
        host = host_name(settings.host)
        self._signer = Signer(settings.ikey, settings.skey, host)
        self._common = f"Host: {_authority(host, settings.port)}\r\nUser-Agent: authproxy/{__version__}\r\n"

    async def call(self, call: Call, deadline: float, *, alone: bool = False) -> object:
        """The contents of the answer's envelope. Raises CloudFailure.

        `alone`: on a connection of its own. The service refuses a wrong date before it does anything, so even a call
        that isn't repeatable is sent again then, and for no other reason.
        """
        throttled, resynchronised = 0, False
        while True:
            try:
                return response_of(await self._send(call, deadline, alone=alone))
            except Refused as refused:
                if refused.code == Refusal.BAD_TIMESTAMP:
                    if resynchronised:
                        raise CloudFailure(FailureClass.SKEW, refused.detail) from None
                    resynchronised = True
                    await self._resynchronise(deadline, alone=alone)
                elif (
                    refused.failure is FailureClass.OVERLOAD
                    and call.repeatable
                    and throttled < MOST_THROTTLED
                ):
                    await self._wait(refused, _BACK_OFF[throttled], deadline)
                    throttled += 1
                else:
                    raise

    def _send(self, call: Call, deadline: float, *, alone: bool) -> Awaitable[Reply]:
        if self._settings.api_timeout:
            deadline = min(deadline, self._reactor.seconds() + self._settings.api_timeout)
        request = self._octets(call)
        if alone:
            return self._pool.send_alone(request, deadline)
        return self._pool.send(request, deadline, repeatable=call.repeatable)

    def _octets(self, call: Call) -> bytes:
        path = f"/auth/v2/{call.endpoint}"
        params, query, body, entity = "", "", b"", ""
        if call.method == "POST":
            body = json_of(call.params)
            entity = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        elif call.params:
            params = canonical_params(call.params.items())
            query = f"?{params}"
        proof = self._proof(call.method, path, params, body) if call.signed else ""
        head = f"{call.method} {path}{query} HTTP/1.1\r\n{self._common}{proof}{entity}\r\n"
        return head.encode("ascii") + body

    def _proof(self, method: str, path: str, params: str, body: bytes) -> str:
        date = write_date(self._wall_clock() + self._ahead)
        authorization = self._signer.authorization(
            date=date, method=method, path=path, params=params, body=body
        )
        return f"Date: {date}\r\nAuthorization: {authorization}\r\n"

    async def _resynchronise(self, deadline: float, *, alone: bool) -> None:
        """T9. Raises CloudFailure, of the class that never opens."""
        try:
            now = read_time(response_of(await self._send(PING, deadline, alone=alone)))
        except CloudFailure as failure:
            raise CloudFailure(FailureClass.SKEW, f"and its time isn't to be had: {failure.detail}") from None
        self._ahead = now - self._wall_clock()
        self._log.warn(
            "cloud.clock_differs",
            section=self._settings.section,
            ahead_seconds=round(self._ahead),
            todo="set this machine's clock by NTP",
        )

    async def _wait(self, refused: Refused, unnamed: float, deadline: float) -> None:
        """Until the service wants to be asked again. Raises `refused` when that is too late."""
        named = read_retry_after(refused.reply.retry_after, self._wall_clock() + self._ahead)
        wait = unnamed if named is None else named
        if self._reactor.seconds() + wait >= deadline:
            raise refused
        await deferLater(self._reactor, wait)


def json_of(params: Mapping[str, str]) -> bytes:
    """The same octets as the json module writes, which would make an encoder for each object."""
    quoted = encode_basestring_ascii
    return f"{{{','.join([f'{quoted(name)}:{quoted(params[name])}' for name in sorted(params)])}}}".encode(
        "ascii"
    )


def _authority(host: str, port: int) -> str:
    host = f"[{host}]" if ":" in host else host
    return host if port == 443 else f"{host}:{port}"
