"""A directory that does as it is told, in memory, and the desk from which tests ask it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.protocol import Protocol

from authproxy.backends.directory.directory import Directory
from authproxy.backends.directory.settings import DirectorySettings, Host, Limits, Transport
from authproxy.observe.log import NullLog
from authproxy.pipeline.ports import Refused, Verified
from authproxy.protocols.ldap.controls import Control
from authproxy.protocols.ldap.dn import parse_dn
from authproxy.protocols.ldap.filter import And, Equality, Extensible, Filter, Not, Or, Present
from authproxy.protocols.ldap.framing import Frame, Framer
from authproxy.protocols.ldap.requests import (
    BindRequest,
    ExtendedRequest,
    SearchRequest,
    Simple,
    UnbindRequest,
    decode_request,
)
from authproxy.protocols.ldap.responses import (
    Attribute,
    BindResponse,
    ExtendedResponse,
    Response,
    Result,
    SearchResultDone,
    SearchResultEntry,
    SearchResultReference,
    encode_response,
)
from authproxy.secret import Secret
from tests.pipeline.fakes import request

from .network import Network

BASE = "DC=corp,DC=test"
PEOPLE = f"OU=People,{BASE}"
SERVICE, SERVICE_PASSWORD = f"CN=svc,{BASE}", b"svc-pw"
AD_CAPABILITIES = {"supportedCapabilities": ["1.2.840.113556.1.4.800"]}
GROUP = f"CN=vpn,OU=Groups,{BASE}"


def ad_refusal(data: str) -> Result:
    """How Active Directory says 49."""
    return Result(
        49, f"80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {data}, v2580"
    )


@dataclass
class Entry:
    dn: str
    attributes: dict[str, list[str]]
    password: bytes | None = None
    refusal: Result | None = None  # answers the right password
    controls: tuple[Control, ...] = ()  # go with every answer to a bind

    def get(self, name: str) -> list[str]:
        found = (values for key, values in self.attributes.items() if key.lower() == name.lower())
        return next(found, [])


def person(name: str, password: bytes = b"right", **attributes: Any) -> Entry:
    dn = attributes.pop("dn", f"CN={name},{PEOPLE}")
    more = {key: attributes.pop(key) for key in ("refusal", "controls") if key in attributes}
    return Entry(
        dn,
        {
            "objectClass": ["person", "user"],
            "objectCategory": ["person"],
            "sAMAccountName": [name],
            "userPrincipalName": [f"{name}@corp.test"],
            **attributes,
        },
        password,
        **more,
    )


Answer = Callable[["Session", Frame, Any], bool]  # True: the usual answer isn't wanted any more


@dataclass
class Fake:
    """One server. `on_bind` and `on_search` are asked first; `binds` is the journal of who tried what."""

    network: Network
    entries: list[Entry] = field(default_factory=list)
    root: dict[str, list[str]] = field(default_factory=dict)
    on_bind: Answer | None = None
    on_search: Answer | None = None
    references: tuple[str, ...] = ()
    binds: list[tuple[str, bytes]] = field(default_factory=list)
    searches: list[SearchRequest] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.entries.append(Entry(SERVICE, {"cn": ["svc"]}, SERVICE_PASSWORD))

    def __call__(self) -> Session:
        session = Session(self)
        self.sessions.append(session)
        return session

    def user_binds(self) -> list[tuple[str, bytes]]:
        return [bind for bind in self.binds if bind[0] != SERVICE]

    def open_sessions(self) -> list[Session]:
        return [session for session in self.sessions if session.open]


class Session(Protocol):
    """One connection to it."""

    transport: Any

    def __init__(self, fake: Fake) -> None:
        self.fake = fake
        self.framer = Framer(1 << 20)
        self.open = True
        self.unbound = False
        self.operations: list[str] = []

    def connectionLost(self, reason: Any = None) -> None:
        self.open = False

    def dataReceived(self, data: bytes) -> None:
        for frame in self.framer.feed(data):
            self.operate(frame)

    def operate(self, frame: Frame) -> None:
        asked = decode_request(frame)
        self.operations.append(type(asked).__name__)
        match asked:
            case BindRequest(name, Simple(password)):
                self.fake.binds.append((name, password.reveal()))
                if self.fake.on_bind is None or not self.fake.on_bind(self, frame, asked):
                    self.bind(frame, name, password.reveal())
            case SearchRequest():
                self.fake.searches.append(asked)
                if self.fake.on_search is None or not self.fake.on_search(self, frame, asked):
                    self.search(frame, asked)
            case ExtendedRequest():
                self.say(frame, ExtendedResponse(Result(2, "not here")))
            case UnbindRequest():
                self.unbound = True
                self.transport.loseConnection()

    def bind(self, frame: Frame, name: str, password: bytes) -> None:
        entry = next((entry for entry in self.fake.entries if _same(entry.dn, name)), None)
        controls = () if entry is None else entry.controls
        if not password:
            result = Result(0)  # anonymous, as Active Directory says it (RFC 4513 §5.1.2)
        elif entry is None or entry.password != password:
            result = ad_refusal("52e")
        else:
            result = entry.refusal or Result(0)
        self.say(frame, BindResponse(result), *controls)

    def search(self, frame: Frame, asked: SearchRequest) -> None:
        if not asked.base and asked.scope == 0:
            self.entry(frame, Entry("", self.fake.root))
            self.say(frame, SearchResultDone(Result(0)))
            return
        found = [
            entry for entry in self.fake.entries if _in_scope(entry, asked) and matches(entry, asked.filter)
        ]
        limited = bool(asked.size_limit) and len(found) > asked.size_limit
        for entry in found[: asked.size_limit or None]:
            self.entry(frame, entry)
        for uri in self.fake.references:
            self.say(frame, SearchResultReference((uri,)))
        self.say(frame, SearchResultDone(Result(4 if limited else 0)))

    def entry(self, frame: Frame, entry: Entry) -> None:
        attributes = tuple(
            Attribute(name, tuple(value.encode() for value in values))
            for name, values in entry.attributes.items()
        )
        self.say(frame, SearchResultEntry(entry.dn, attributes))

    def say(self, frame: Frame, response: Response, *controls: Control) -> None:
        self.transport.write(encode_response(frame.message_id, response, controls))


def _same(one: str, other: str) -> bool:
    return parse_dn(one) == parse_dn(other)


def _in_scope(entry: Entry, asked: SearchRequest) -> bool:
    if asked.scope == 0:
        return _same(entry.dn, asked.base)
    return parse_dn(entry.dn).is_within(parse_dn(asked.base))


def matches(entry: Entry, wanted: Filter) -> bool:
    match wanted:
        case And(parts):
            return all(matches(entry, part) for part in parts)
        case Or(parts):
            return any(matches(entry, part) for part in parts)
        case Not(part):
            return not matches(entry, part)
        case Equality(attribute, value):
            return value.decode().casefold() in (each.casefold() for each in entry.get(attribute))
        case Present(attribute):
            return bool(entry.get(attribute))
        case Extensible(rule, "memberOf", value):
            # What Active Directory's rule works out stands in the entry as it is.
            return rule is not None and value.decode() in entry.get("inChain")
        case _:
            raise NotImplementedError(str(wanted))


class Addresses:
    """Names are their own addresses."""

    async def addresses(self, name: str, timeout: float) -> tuple[str, ...]:
        return (name,)


ONE, TWO = Host("10.0.0.1", 389), Host("10.0.0.2", 389)


@dataclass
class Desk:
    """A directory client, the network, and two servers that know alice and bob."""

    network: Network = field(default_factory=Network)
    changes: dict[str, Any] = field(default_factory=dict)
    log: Any = field(default_factory=NullLog)

    def __post_init__(self) -> None:
        self.one, self.two = Fake(self.network), Fake(self.network)
        for fake, host in ((self.one, ONE), (self.two, TWO)):
            fake.entries += [person("alice"), person("bob", b"bobs")]
            self.network.listening[host.address, host.port] = fake
        fields: dict[str, Any] = {
            "name": "ad_client",
            "hosts": (ONE,),
            "search_dn": BASE,
            "service_name": SERVICE,
            "service_password": Secret(SERVICE_PASSWORD),
            "transport": Transport.CLEAR,
            "limits": Limits(),
        }
        self.settings = DirectorySettings(**(fields | self.changes))
        self.directory = Directory(
            self.settings,
            reactor=self.network,
            resolver=Addresses(),  # type: ignore[arg-type]
            log=self.log,
        )

    def verify(
        self, username: str = "alice", password: bytes = b"right", deadline: float = 100
    ) -> Verified | Refused:
        return self.network.run(self.asked(username, password, deadline))

    async def asked(
        self, username: str = "alice", password: bytes = b"right", deadline: float = 100
    ) -> Verified | Refused:
        """`deadline` is in seconds from now."""
        asked = request(password, username, deadline=self.network.seconds() + deadline)
        return await self.directory.verify(asked, Secret(password))

    def down(self, host: Host) -> None:
        del self.network.listening[host.address, host.port]


def desk(**changes: Any) -> Desk:
    return Desk(changes=changes)


def two_hosts(**changes: Any) -> Desk:
    return Desk(changes={"hosts": (ONE, TWO)} | changes)
