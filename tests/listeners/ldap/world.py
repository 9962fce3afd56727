"""An LDAP listener between clients and a directory in memory: octets in, messages out, a clock that tests turn."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from authproxy.backends.directory.names import bare
from authproxy.backends.lockout import LockoutGuard, LockoutRules
from authproxy.listeners.descriptors import Descriptors
from authproxy.listeners.ldap.attempt import BindPrimary
from authproxy.listeners.ldap.connection import LdapClient
from authproxy.listeners.ldap.listener import LdapListener
from authproxy.listeners.ldap.section import LdapSection, Limits, Options
from authproxy.pipeline.approvals import Approvals
from authproxy.pipeline.authenticate import Pipeline
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.logins import Logins
from authproxy.pipeline.policy import Policy
from authproxy.pipeline.ports import (
    CloudFailure,
    FactorAllow,
    FactorCall,
    FactorDeny,
    FailureClass,
    PreauthFactors,
    PrimaryUnavailable,
    PrimaryUnusable,
    Refused,
    Verified,
)
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.second_step import SecondStep
from authproxy.pipeline.workload import Workload
from authproxy.protocols.ldap.controls import Control, decode_controls
from authproxy.protocols.ldap.framing import Frame, Framer
from authproxy.protocols.ldap.requests import (
    AbandonRequest,
    AnyRequest,
    BindRequest,
    ExtendedRequest,
    Request,
    Scope,
    SearchRequest,
    Simple,
    UnbindRequest,
    decode_request,
    encode_request,
)
from authproxy.protocols.ldap.responses import (
    Attribute,
    BindResponse,
    ExtendedResponse,
    Response,
    Result,
    SearchResultDone,
    SearchResultEntry,
    decode_response,
    encode_response,
)
from authproxy.secret import Secret
from authproxy.service.building.parts import Counted as CountedPipeline
from tests.listeners.radius.world import Log
from tests.pipeline.fakes import PHONE, Door, Record

ALICE = "uid=alice,ou=people,dc=example"
BOB = "uid=bob,ou=people,dc=example"
SERVICE = "cn=svc,ou=services,dc=example"
PASSWORDS = {ALICE: b"right", BOB: b"bobs", SERVICE: b"svcpw", "alice@example.test": b"right"}
ENTRY = SearchResultEntry(ALICE, (Attribute("cn", (b"Alice",)),))


def bind(name: str = ALICE, password: bytes = b"right", version: int = 3) -> BindRequest:
    return BindRequest(name, Simple(Secret(password)), version)


def search(base: str = "dc=example", scope: Scope = Scope.SUBTREE) -> SearchRequest:
    return SearchRequest(base, scope)


ROOT = SearchRequest("", Scope.BASE)


@dataclass
class Seen:
    """A message that the directory got."""

    upstream: FakeUpstream
    frame: Frame
    request: AnyRequest


class FakeUpstream:
    """A connection to the directory. `bound`: whose it is there, "" for nobody's."""

    def __init__(self, directory: FakeDirectory, receiver: Any) -> None:
        self.directory, self.receiver = directory, receiver
        self.bound = ""
        self.open = True
        self.paused = False
        self.unbound = False
        self._framer = Framer(10_000_000)

    def write(self, octets: bytes) -> None:
        assert self.open
        for frame in self._framer.feed(octets):
            self.directory.got(self, frame)

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def close(self, message_id: int = 0) -> None:
        self.open = False
        self.unbound = message_id > 0
        self.bound = ""

    def say(self, message_id: int, response: Response, *controls: Control) -> None:
        self.say_octets(encode_response(message_id, response, controls))

    def say_octets(self, octets: bytes) -> None:
        if self.open:
            self.receiver.received(octets)

    def hang_up(self) -> None:
        self.open = False
        self.receiver.lost("hung up")


@dataclass
class FakeDirectory:
    """Answers by itself, but for the requests of a type in `silent`."""

    passwords: dict[str, bytes] = field(default_factory=lambda: dict(PASSWORDS))
    refusals: dict[str, Result] = field(default_factory=dict)
    controls: tuple[Control, ...] = ()
    silent: set[type] = field(default_factory=set)
    down: bool = False
    who_am_i: Result = field(default_factory=lambda: Result(2))
    seen: list[Seen] = field(default_factory=list)
    upstreams: list[FakeUpstream] = field(default_factory=list)
    opening: Deferred[None] | None = None  # until it fires nothing is open

    async def open(self, receiver: Any, deadline: float) -> FakeUpstream:
        if self.opening is not None:
            await self.opening
        if self.down:
            raise PrimaryUnavailable("nobody there")
        self.upstreams.append(FakeUpstream(self, receiver))
        return self.upstreams[-1]

    def of(self, kind: type) -> list[Any]:
        """The requests of a type that came."""
        return [seen.request for seen in self.seen if isinstance(seen.request, kind)]

    def got(self, upstream: FakeUpstream, frame: Frame) -> None:
        request = decode_request(frame)
        self.seen.append(Seen(upstream, frame, request))
        if type(request) in self.silent:
            return
        match request:
            case BindRequest(name, Simple(password)):
                upstream.say(frame.message_id, self.answer(upstream, name, password.reveal()), *self.controls)
            case SearchRequest():
                upstream.say(frame.message_id, ENTRY)
                upstream.say(frame.message_id, SearchResultDone(Result(0)))
            case ExtendedRequest("1.3.6.1.4.1.4203.1.11.3"):
                upstream.say(frame.message_id, ExtendedResponse(self.who_am_i))
            case ExtendedRequest():
                upstream.say(frame.message_id, ExtendedResponse(Result(0)))
            case _:
                pass

    def answer(self, upstream: FakeUpstream, name: str, password: bytes) -> BindResponse:
        right = self.passwords.get(name) == password
        result = self.refusals.get(name, Result(0)) if right else Result(49, "data 52e")
        upstream.bound = name if result.code == 0 else ""
        return BindResponse(result)


@dataclass
class People:
    """Implements ports.Identities."""

    known: dict[str, Verified | Refused | Exception] = field(
        default_factory=lambda: {
            ALICE: Verified("alice", ALICE),
            "alice@example.test": Verified("alice", ALICE),
            BOB: Verified("bob", BOB),
            SERVICE: Verified("svc", SERVICE),
        }
    )
    asked: list[str] = field(default_factory=list)

    async def confirm(self, name: str, deadline: float, typed: str = "") -> Verified | Refused:
        self.asked.append(name)
        answer = self.known.get(name, Refused("unknown_user"))
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Phone:
    """The cloud. `waiting`: pushes that nobody has answered yet, where `at_once` is None."""

    at_once: FactorAllow | FactorDeny | FailureClass | None = field(default_factory=FactorAllow)
    preauth_failure: FailureClass | None = None
    calls: list[tuple[str, FactorCall]] = field(default_factory=list)
    requests: list[AuthRequest] = field(default_factory=list)
    waiting: list[Deferred[FactorAllow | FactorDeny]] = field(default_factory=list)

    async def preauth(self, request: AuthRequest, username: str) -> PreauthFactors:
        self.requests.append(request)
        if self.preauth_failure is not None:
            raise CloudFailure(self.preauth_failure, "as told")
        return PreauthFactors((PHONE,))

    async def auth(self, request: AuthRequest, username: str, call: FactorCall) -> FactorAllow | FactorDeny:
        self.calls.append((username, call))
        match self.at_once:
            case None:
                self.waiting.append(Deferred())
                return await self.waiting[-1]
            case FailureClass() as failure:
                raise CloudFailure(failure, "as told")
            case verdict:
                return verdict

    def answer(self, verdict: FactorAllow | FactorDeny) -> None:
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.callback(verdict)


@dataclass
class Counted:
    causes: list[str] = field(default_factory=list)

    def ldap_disconnected(self, cause: str) -> None:
        self.causes.append(cause)


class Transport(StringTransport):
    """A TCP transport with TLS that takes no handshake."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False
        self.tls: Any = None
        self.protocol: Any = None

    def setTcpNoDelay(self, enabled: bool) -> None: ...

    def setTcpKeepAlive(self, enabled: bool) -> None: ...

    def startTLS(self, context: Any) -> None:
        self.tls = context

    def abortConnection(self) -> None:
        self.aborted = True
        self.disconnecting = True


class Wire:
    """A client's end."""

    def __init__(self, listener: LdapListener, address: str = "192.0.2.1") -> None:
        self.transport = Transport()
        self._framer = Framer(100_000_000, unsolicited=True)
        self.messages: list[tuple[int, Response]] = []
        self.controls: dict[int, tuple[Control, ...]] = {}
        self.octets = b""
        protocol = listener.buildProtocol(Address(address))
        self.refused = protocol is None
        if protocol is not None:
            self.client: LdapClient = protocol
            self.transport.protocol = protocol
            protocol.makeConnection(self.transport)

    def octet(self, octets: bytes) -> None:
        self.client.dataReceived(octets)

    def send(self, message_id: int, request: Request, *controls: Control) -> list[tuple[int, Response]]:
        """The answers that came at once."""
        self.octet(encode_request(message_id, request, controls))
        return self.read()

    def read(self) -> list[tuple[int, Response]]:
        octets = self.transport.value()
        self.transport.clear()
        self.octets += octets
        read = []
        for frame in self._framer.feed(octets):
            read.append((frame.message_id, decode_response(frame)))
            self.controls[frame.message_id] = decode_controls(frame)
        self.messages += read
        return read

    def code(self, message_id: int, request: Request, *controls: Control) -> int | None:
        """The result code of the answer; None: there is none yet."""
        answers = [
            response for id_, response in self.send(message_id, request, *controls) if id_ == message_id
        ]
        return code_of(answers[-1]) if answers else None

    @property
    def closed(self) -> bool:
        return bool(self.transport.disconnecting)

    def notices(self) -> list[int]:
        """The codes of the Notices of Disconnection so far."""
        self.read()
        return [code_of(response) for id_, response in self.messages if id_ == 0]

    def hang_up(self) -> None:
        self.client.connectionLost(Failure(ConnectionError("gone")))

    def handshake(self) -> None:
        self.client.handshakeCompleted()


def code_of(response: Response) -> int:
    return response.result.code  # type: ignore[union-attr]


@dataclass
class Address:
    host: str


class CountedAs:
    """`refuses`: the directory doesn't let the service account look anybody up."""

    refuses = False

    async def __call__(self, typed: str, deadline: float, *, unconfirmed: bool) -> str:
        if self.refuses and not unconfirmed:
            raise PrimaryUnusable("the service account may not search")
        return bare(typed)


class Desk:
    """`options` are LdapSection's Options and Limits, and `policy` what Policy has."""

    def __init__(
        self,
        *,
        options: dict[str, Any] | None = None,
        limits: dict[str, Any] | None = None,
        policy: dict[str, Any] | None = None,
        tls: Any = None,
        tls_at_once: bool = False,
        balancers: tuple[str, ...] = (),
        door: Door | None = None,
        approval_memory: float = 0,
        descriptors: Descriptors | None = None,
        workload: Workload | None = None,
    ) -> None:
        self.clock = Clock()
        self.directory = FakeDirectory()
        self.people = People()
        self.phone = Phone()
        self.record = Record()
        self.counted = Counted()
        self.log = Log()
        self.joined: list[str] = []
        self.policy = Policy(**{"fail_mode": FailMode.SECURE, **(policy or {})})
        self.approvals = Approvals(b"k")
        self.own_approvals = self.approvals.of_section(approval_memory)
        second = SecondStep(
            self.policy,
            self.phone,
            door or Door(),
            None,  # type: ignore[arg-type]
            self.clock.seconds,
            approvals=self.own_approvals,
        )
        self.counted_as = CountedAs()
        guard = LockoutGuard(LockoutRules(), section="ad_client", reactor=self.clock, log=self.log)
        self.pipeline = Pipeline(
            self.policy, BindPrimary(guard, self.counted_as), second, self.record, self.clock.seconds
        )
        self.logins = Logins(
            CountedPipeline(self.pipeline, Workload()),
            key=b"k",
            denial_memory=0,
            clock=self.clock.seconds,
            failed=lambda request, error: self.log.failure("login.failed", error),
            joined=lambda newcomer, waiting: self.joined.append(newcomer.login),
        )
        self.options = replace(Options(append=self.policy.append), **(options or {}))
        self.limits = replace(Limits(), **(limits or {}))
        self.tls = tls
        self.workload = workload
        self.listener = LdapListener(
            self.section(),
            balancers=[ip_network(network) for network in balancers],
            tls_at_once=tls_at_once,
            reactor=self.clock,
            log=self.log,
            disconnects=self.counted,
            descriptors=descriptors,
        )

    def section(self, **changes: Any) -> LdapSection:
        parts: dict[str, Any] = {
            "name": "apps",
            "options": self.options,
            "limits": self.limits,
            "logins": self.logins,
            "rejecter": self.pipeline,
            "upstreams": self.directory,
            "identities": self.people,
            "tls": self.tls,
            "approvals": self.own_approvals,
            "workload": self.workload,
        }
        return LdapSection(**(parts | changes))

    def connect(self, address: str = "192.0.2.1") -> Wire:
        return Wire(self.listener, address)

    def reasons(self) -> list[str]:
        return [decision.reason.value for decision, _ in self.record.decisions]

    def pass_time(self, seconds: float) -> None:
        """In steps of a second, as the listener looks."""
        for _ in range(int(seconds)):
            self.clock.advance(1)


__all__ = ["AbandonRequest", "ExtendedRequest", "UnbindRequest"]
