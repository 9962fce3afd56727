"""The second factor: preauth, auth and its polls, with every failure in one class (the contract, section 8)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from authproxy.backends.cloud.answers import (
    Waiting,
    read_preauth,
    read_progress,
    read_time,
    read_txid,
    read_verdict,
)
from authproxy.backends.cloud.api import CHECK, PING, Api, Call
from authproxy.backends.cloud.failures import ReplyTimeout
from authproxy.backends.cloud.health import CloudHealth, HealthRecord, Watcher
from authproxy.backends.cloud.opening import Opener, Peer
from authproxy.backends.cloud.polling import Polls
from authproxy.backends.cloud.pool import Pool
from authproxy.backends.cloud.proven import Proven
from authproxy.backends.cloud.settings import CloudSettings
from authproxy.backends.cloud.tls import ssl_context
from authproxy.backends.resolve import Resolver
from authproxy.backends.tls import ServerCertificates
from authproxy.observe.log import Log
from authproxy.pipeline.ports import (
    CloudFailure,
    FactorAllow,
    FactorCall,
    FactorDeny,
    FailureClass,
    Preauth,
)
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.workload import Workload

T = TypeVar("T")

CHECK_SECONDS = 10.0  # that a check in the background may take
SERVER_ERROR_PAUSE = 0.2  # seconds before the one retry
# Seconds from one check to the next until the first that succeeds; doubled up to the most.
FIRST_CHECK_AGAIN = 2.0
MOST_CHECK_AGAIN = 30.0


# What the service answers by itself: preauth, a passcode's verdict, the name of a transaction that has begun.
_AT_ONCE = frozenset({"preauth", "auth"})


class Cloud:
    """The application of one section at its service (implements pipeline.ports.SecondFactor)."""

    def __init__(
        self,
        settings: CloudSettings,
        *,
        reactor: Any,
        resolver: Resolver,
        log: Log,
        proven: Proven,
        certificates: ServerCertificates | None = None,
        workload: Workload | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is sent before `start` or the first login. Raises UnusableTrust."""
        self._settings = settings
        self._reactor = reactor
        self._log = log
        self._proven = proven
        self._workload = Workload() if workload is None else workload
        peer = Peer(
            host=settings.host,
            port=settings.port,
            context=ssl_context(settings.trust),
            proxy=settings.proxy,
            allow_local=settings.allow_local,
        )
        opener = Opener(
            peer,
            reactor=reactor,
            resolver=resolver,
            log=log,
            certificates=certificates,
            has_answered=lambda: bool(proven),
        )
        self._pool = Pool(opener, reactor=reactor, limits=settings.limits)
        self._api = Api(settings, self._pool, reactor=reactor, log=log, wall_clock=wall_clock)
        self._health = HealthRecord(settings.section, log, reactor.seconds())
        self._proving: Deferred[None] | None = None
        self._took: Callable[[float], None] = lambda seconds: None

    # ---- the port

    async def preauth(self, request: AuthRequest, username: str) -> Preauth:
        """Raises CloudFailure."""
        budget = self._settings.api_timeout or self._settings.preauth_seconds
        deadline = self._deadline(request, budget)
        call = Call("POST", "preauth", self._about(request, username))
        try:
            return await self._ask(call, deadline, read_preauth)
        except CloudFailure as failure:
            if failure.failure is not FailureClass.SERVER_ERROR or self._left(deadline) <= SERVER_ERROR_PAUSE:
                raise
        await deferLater(self._reactor, SERVER_ERROR_PAUSE)
        return await self._ask(call, deadline, read_preauth)

    async def auth(self, request: AuthRequest, username: str, call: FactorCall) -> FactorAllow | FactorDeny:
        """Ask for a factor, and wait for the verdict. A push is sent once, however often its state is polled. Raises
        CloudFailure.
        """
        deadline = self._deadline(request, self._settings.factor_seconds)
        params = self._about(request, username) | {"factor": call.factor}
        if call.passcode is not None:
            try:
                params["passcode"] = call.passcode.reveal().decode("utf-8")
            except UnicodeDecodeError:
                return FactorDeny("deny", "Incorrect passcode.")
        else:
            params["device"] = call.device
        if call.factor in ("passcode", "sms"):
            return await self._ask(
                Call("POST", "auth", params, repeatable=False),
                deadline,
                lambda response: read_verdict(response, username=username),
            )
        begin = Call("POST", "auth", params | {"async": "1"}, repeatable=False)
        at_once = min(deadline, self._reactor.seconds() + self._settings.preauth_seconds)
        txid = await self._ask(begin, at_once, read_txid)
        self._workload.wait()
        try:
            return await self._poll(txid, username, deadline)
        finally:
            self._workload.go_on()

    # ---- for the probe, the status page and the command line

    async def ping(self, timeout: float) -> float:
        """The service's time, in Unix seconds. `timeout`: seconds. Raises CloudFailure."""
        return await self._ask(PING, self._reactor.seconds() + timeout, read_time, alone=True)

    async def check(self, timeout: float) -> None:
        """Have the service check our credentials, on a connection of its own. Raises CloudFailure."""
        await self._ask(CHECK, self._reactor.seconds() + timeout, read_time, alone=True)

    def health(self) -> CloudHealth:
        return self._health.read(proven=bool(self._proven), connections=self._pool.open_connections)

    def watched_by(self, watcher: Watcher) -> None:
        """Report every answer and every failure to this watcher."""
        self._health.watcher = watcher

    def timed_by(self, took: Callable[[float], None]) -> None:
        """Report the seconds of each answer for which the service doesn't wait for a user."""
        self._took = took

    def start(self) -> None:
        """Check the credentials in the background until they have worked once."""
        if self._proving is None:
            self._proving = Deferred.fromCoroutine(self._prove())
            self._proving.addErrback(self._log_bug)

    async def close(self) -> None:
        """Close all connections; logins in progress are rejected."""
        if self._proving is not None:
            self._proving.cancel()
        self._pool.close()

    # ---- within

    async def _ask(
        self, call: Call, deadline: float, read: Callable[[object], T], *, alone: bool = False
    ) -> T:
        """One call, with what becomes of it noted. Raises CloudFailure."""
        began = self._reactor.seconds()
        if deadline <= began:
            raise CloudFailure(FailureClass.OVERLOAD, "no time was left to ask")
        held = call.endpoint == "auth_status"
        try:
            answer = read(await self._api.call(call, deadline, alone=alone))
        except CloudFailure as failure:
            if not (held and isinstance(failure, ReplyTimeout)):
                self._health.failed(failure, self._reactor.seconds())
            raise
        except CancelledError:
            raise
        except Exception as bug:  # noqa: BLE001 - section 8 has a class for it, which never opens
            self._log.failure("cloud.bug", bug, section=self._settings.section, endpoint=call.endpoint)
            raise CloudFailure(FailureClass.INTERNAL, type(bug).__name__) from None
        now = self._reactor.seconds()
        self._health.succeeded(now, None if held else now - began)
        if call.endpoint in _AT_ONCE:
            self._took(now - began)
        if call.signed:
            self._proven.prove()
        return answer

    async def _poll(self, txid: str, username: str, deadline: float) -> FactorAllow | FactorDeny:
        """Ask after a transaction until it is decided, or the login's time is over."""
        call, polls = Call("GET", "auth_status", {"txid": txid}), Polls()

        def read(response: object) -> FactorAllow | FactorDeny | Waiting:
            return read_progress(response, username=username, txid=txid)

        while (began := self._reactor.seconds()) < deadline:
            try:
                verdict = await self._ask(call, min(deadline, began + self._settings.poll_seconds), read)
            except CloudFailure as failure:
                pause = polls.failed(failure)
            else:
                if not isinstance(verdict, Waiting):
                    return verdict
                pause = polls.waiting(self._reactor.seconds() - began)
            if pause:
                await deferLater(self._reactor, min(pause, self._left(deadline)))
        return polls.over(txid)

    async def _prove(self) -> None:
        again = FIRST_CHECK_AGAIN
        while not self._proven:
            try:
                await self.check(CHECK_SECONDS)
            except CloudFailure as failure:
                self._log.warn(
                    "cloud.check_failed",
                    section=self._settings.section,
                    failure=failure.failure.value,
                    detail=failure.detail,
                )
                await deferLater(self._reactor, again)
                again = min(again * 2, MOST_CHECK_AGAIN)
        self._log.info("cloud.proven", section=self._settings.section)

    def _log_bug(self, failure: Any) -> None:
        if not failure.check(CancelledError):
            self._log.failure("cloud.bug", failure.value, section=self._settings.section)

    def _about(self, request: AuthRequest, username: str) -> dict[str, str]:
        params = {"username": username}
        if request.client_ip is not None:
            params["ipaddr"] = request.client_ip
        if self._settings.hostname:
            params["hostname"] = self._settings.hostname
        return params

    def _deadline(self, request: AuthRequest, budget: float) -> float:
        ours: float = self._reactor.seconds() + budget
        return min(request.deadline, ours)

    def _left(self, deadline: float) -> float:
        left: float = deadline - self._reactor.seconds()
        return max(0.0, left)
