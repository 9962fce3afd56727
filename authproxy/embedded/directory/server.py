"""The LDAP server's connections (RFC 4511): bind, search, StartTLS, who am I; anything else is refused.

Each request is answered before the next is read, so nothing piles up: not requests, and not answers either, for a
client that doesn't read is not read from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet import protocol
from twisted.internet.interfaces import IAddress, IPushProducer, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from authproxy.embedded.directory.matching import matches
from authproxy.embedded.directory.password import matches as password_matches
from authproxy.embedded.directory.tree import HIDDEN, Dn, Entry, Tree, read_dn
from authproxy.observe.log import Log
from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.controls import decode_controls
from authproxy.protocols.ldap.dn import MalformedDN
from authproxy.protocols.ldap.framing import Frame, Framer
from authproxy.protocols.ldap.requests import (
    NO_ATTRIBUTES,
    START_TLS,
    WHO_AM_I,
    AbandonRequest,
    BindRequest,
    ExtendedRequest,
    OtherRequest,
    Scope,
    SearchRequest,
    Simple,
    UnbindRequest,
    decode_request,
)
from authproxy.protocols.ldap.responses import (
    Attribute,
    BindResponse,
    ExtendedResponse,
    OtherResult,
    Response,
    Result,
    SearchResultDone,
    SearchResultEntry,
    encode_response,
    notice_of_disconnection,
)
from authproxy.protocols.ldap.result import ResultCode
from authproxy.secret import Secret
from authproxy.values import light_dataclass

_DISABLED = 0x2  # of Active Directory's userAccountControl
# What answers what: Modify, Add, Delete, ModifyDN, Compare.
_RESPONSE_TAG = {0x66: 0x67, 0x68: 0x69, 0x4A: 0x6B, 0x6C: 0x6D, 0x6E: 0x6F}


@light_dataclass(frozen=True, slots=True)
class Limits:
    message: int = 262_144  # octets
    entries: int = 1000  # of one search
    connections: int = 256
    first: float = 10.0  # seconds until the first request is whole, TLS handshake included
    idle: float = 300.0  # seconds without a whole request


class DirectoryFactory(protocol.ServerFactory):
    """`tls`: a context factory for StartTLS; None: there is no StartTLS."""

    def __init__(
        self, tree: Tree, *, reactor: IReactorTime, log: Log, limits: Limits | None = None, tls: Any = None
    ) -> None:
        self.tree = tree
        self.reactor = reactor
        self.log = log
        self.limits = limits or Limits()
        self.tls = tls
        self.open: set[DirectoryConnection] = set()

    def buildProtocol(self, addr: IAddress | None) -> DirectoryConnection | None:  # noqa: N802 - twisted's name
        if len(self.open) >= self.limits.connections:
            self.log.warn("directory.connection_refused", connections=len(self.open))
            return None
        return DirectoryConnection(self)

    def abort_all(self) -> None:
        for connection in list(self.open):
            connection.abort()


@implementer(IPushProducer)
class DirectoryConnection(protocol.Protocol):
    """One client, from connect to close."""

    transport: Any

    def __init__(self, factory: DirectoryFactory) -> None:
        self._factory = factory
        self._framer = Framer(factory.limits.message)
        self._bound: Entry | None = None
        self._encrypted = False
        self._starting_tls = False
        self._closed = False
        self._alarm: Any = None

    # ---- the connection

    def connectionMade(self) -> None:  # noqa: N802 - twisted's name
        self._factory.open.add(self)
        self.transport.registerProducer(self, True)
        self._wait(self._factory.limits.first)

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: N802
        self._closed = True
        self._factory.open.discard(self)
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()

    def pauseProducing(self) -> None:  # noqa: N802 - twisted's name
        """The client doesn't read, so stop reading from it."""
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:  # noqa: N802 - twisted's name
        self.transport.resumeProducing()

    def stopProducing(self) -> None:  # noqa: N802 - twisted's name
        """The connection is lost; connectionLost follows."""

    def abort(self) -> None:
        self._closed = True
        self.transport.abortConnection()

    def _wait(self, seconds: float) -> None:
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        self._alarm = self._factory.reactor.callLater(seconds, self.abort)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - twisted's name
        try:
            for frame in self._framer.feed(data):
                if self._closed:
                    return
                self._wait(self._factory.limits.idle)
                self._answer(frame)
            self._starting_tls = False
        except MalformedMessage as malformed:
            self._factory.log.warn("directory.discarded", cause=malformed.cause)
            self._close(notice_of_disconnection(ResultCode.PROTOCOL_ERROR, malformed.cause))
        except Exception as bug:  # noqa: BLE001 - this listener's catch-all
            self._factory.log.failure("directory.failed", bug)
            self._close(notice_of_disconnection(ResultCode.OTHER, "internal"))

    def _close(self, last: bytes) -> None:
        if self._starting_tls:
            self.abort()  # there is no handshake that this could be said behind
            return
        self._closed = True
        self.transport.write(last)
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def _send(self, message_id: int, response: Response) -> None:
        self.transport.write(encode_response(message_id, response))

    # ---- requests

    def _answer(self, frame: Frame) -> None:
        if self._starting_tls:
            # RFC 4511 §4.14.1: what stands behind StartTLS in the clear must not count as encrypted.
            raise MalformedMessage("plaintext", "a request behind StartTLS")
        request = decode_request(frame)
        critical = any(control.critical for control in decode_controls(frame))
        if critical and not isinstance(request, UnbindRequest | AbandonRequest):
            self._refuse(frame, Result(ResultCode.UNAVAILABLE_CRITICAL_EXTENSION))
            return
        match request:
            case BindRequest():
                self._send(frame.message_id, BindResponse(self._bind(request)))
            case SearchRequest():
                for response in self._search(request):
                    self._send(frame.message_id, response)
            case ExtendedRequest(name, _):
                self._extended(frame.message_id, name)
            case UnbindRequest():
                self._closed = True
                self.transport.unregisterProducer()
                self.transport.loseConnection()
            case AbandonRequest():
                pass
            case OtherRequest():
                self._refuse(frame, Result(ResultCode.UNWILLING_TO_PERFORM, "this directory is read only"))

    def _refuse(self, frame: Frame, result: Result) -> None:
        match frame.tag:
            case 0x60:
                self._send(frame.message_id, BindResponse(result))
            case 0x63:
                self._send(frame.message_id, SearchResultDone(result))
            case 0x77:
                self._send(frame.message_id, ExtendedResponse(result))
            case tag if tag in _RESPONSE_TAG:
                self._send(frame.message_id, OtherResult(_RESPONSE_TAG[tag], result))
            case _:
                raise MalformedMessage("operation", "no request")

    def _bind(self, request: BindRequest) -> Result:
        # RFC 4511 §4.2.1: whatever comes of it, who was bound before is no more.
        self._bound = None
        if request.version != 3:
            return Result(ResultCode.PROTOCOL_ERROR, "version 3 only")
        if not isinstance(request.authentication, Simple):
            return Result(ResultCode.AUTH_METHOD_NOT_SUPPORTED, "simple binds only")
        password = request.authentication.password
        if not request.name and not password:
            return Result(ResultCode.SUCCESS)
        if not password:
            # RFC 4513 §5.1.2: a name without a password would look like a login.
            return Result(ResultCode.UNWILLING_TO_PERFORM, "unauthenticated bind")
        return self._simple(request.name, password)

    def _simple(self, name: str, password: Secret) -> Result:
        account = self._factory.tree.account(name)
        right = password_matches(account.values("userPassword") if account else (), password)
        if account is None or not right:
            # In Active Directory's form: what the proxy reads its causes from.
            return _refused(0x52E)
        if _is_disabled(account):
            return _refused(0x533)
        self._bound = account
        return Result(ResultCode.SUCCESS)

    def _search(self, request: SearchRequest) -> Iterator[Response]:
        try:
            base = read_dn(request.base)
        except MalformedDN:
            yield SearchResultDone(Result(ResultCode.INVALID_DN_SYNTAX))
            return
        if not base and request.scope is Scope.BASE:
            yield self._root(request)
            yield SearchResultDone(Result(ResultCode.SUCCESS))
            return
        if self._bound is None:
            yield SearchResultDone(Result(ResultCode.INSUFFICIENT_ACCESS_RIGHTS, "bind first"))
            return
        if base and self._factory.tree.find(base) is None:
            yield SearchResultDone(Result(ResultCode.NO_SUCH_OBJECT, "", self._nearest(base)))
            return
        yield from self._found(request, base)

    def _found(self, request: SearchRequest, base: Dn) -> Iterator[Response]:
        tree, most = self._factory.tree, self._factory.limits.entries
        asked = min(request.size_limit or most, most)
        sent = 0
        for entry in tree.within(base, request.scope):
            if not matches(request.filter, entry, tree):
                continue
            if sent == asked:
                yield SearchResultDone(Result(ResultCode.SIZE_LIMIT_EXCEEDED))
                return
            sent += 1
            yield _shown(entry, request)
        yield SearchResultDone(Result(ResultCode.SUCCESS))

    def _root(self, request: SearchRequest) -> SearchResultEntry:
        """RFC 4512 §5.1: what this server can do, for anybody."""
        suffixes = tuple(suffix.encode() for suffix in self._factory.tree.suffixes)
        extensions = [WHO_AM_I.encode()]
        if self._factory.tls is not None:
            extensions.append(START_TLS.encode())
        told: dict[str, tuple[bytes, ...]] = {
            "objectClass": (b"top",),
            "vendorName": (b"authproxy",),
            "supportedLDAPVersion": (b"3",),
            "supportedExtension": tuple(extensions),
            "namingContexts": suffixes,
            "defaultNamingContext": suffixes[:1],
        }
        attributes = {name.lower(): (name, values) for name, values in told.items() if values}
        return _shown(Entry("", (), attributes), request)

    def _nearest(self, base: Dn) -> str:
        for cut in range(1, len(base)):
            if (above := self._factory.tree.find(base[cut:])) is not None:
                return above.dn
        return ""

    def _extended(self, message_id: int, name: str) -> None:
        if name == WHO_AM_I:
            # RFC 4532
            who = b"" if self._bound is None else b"dn:" + self._bound.dn.encode()
            self._send(message_id, ExtendedResponse(Result(ResultCode.SUCCESS), value=who))
        elif name == START_TLS and self._factory.tls is not None:
            self._start_tls(message_id)
        else:
            self._send(message_id, ExtendedResponse(Result(ResultCode.PROTOCOL_ERROR, "unknown extension")))

    def _start_tls(self, message_id: int) -> None:
        if self._encrypted or self._framer.pending:
            self._send(message_id, ExtendedResponse(Result(ResultCode.OPERATIONS_ERROR), START_TLS))
            return
        self._send(message_id, ExtendedResponse(Result(ResultCode.SUCCESS), START_TLS))
        self._encrypted = self._starting_tls = True
        self._bound = None
        self.transport.unregisterProducer()
        self.transport.startTLS(self._factory.tls)
        self.transport.registerProducer(self, True)


def _refused(data: int) -> Result:
    text = f"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {data:x}, v1db1"
    return Result(ResultCode.INVALID_CREDENTIALS, text)


def _is_disabled(account: Entry) -> bool:
    flags = account.values("userAccountControl")
    return bool(flags) and flags[0].isdigit() and bool(int(flags[0][:20]) & _DISABLED)


def _shown(entry: Entry, request: SearchRequest) -> SearchResultEntry:
    """The attributes that were asked for; passwords never."""
    if request.attributes == NO_ATTRIBUTES:
        return SearchResultEntry(entry.dn)
    wanted = {name.lower() for name in request.attributes}
    everything = not wanted or "*" in wanted
    shown = [
        Attribute(name, () if request.types_only else values)
        for key, (name, values) in entry.attributes.items()
        if key not in HIDDEN and (everything or key in wanted or ("+" in wanted and key == "memberof"))
    ]
    return SearchResultEntry(entry.dn, tuple(shown))
