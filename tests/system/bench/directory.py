"""A scripted, strict directory: simple binds and searches over clear LDAP, and everything an AD can do to a client.

Like Active Directory it answers a bind with a name and no password with success (RFC 4513 §5.1.2), so a
proxy that lets such a bind out is caught by the journal; and it searches for nobody who hasn't bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import unicodedata
from dataclasses import dataclass, field
from typing import Literal

from tests.system.bench import ber
from tests.system.bench.journal import Journal, PrimaryBind, PrimaryRefused, PrimarySearch
from tests.system.bench.ldap_filter import AND, EQUALITY, matches, printed
from tests.system.bench.loop import Fault, Loop, answer

BIND, BIND_RESPONSE, UNBIND, SEARCH, SEARCH_ENTRY, SEARCH_DONE, SEARCH_REFERENCE = (
    0x60, 0x61, 0x42, 0x63, 0x64, 0x65, 0x73,
)  # fmt: skip
ABANDON, EXTENDED, EXTENDED_RESPONSE = 0x50, 0x77, 0x78
SIMPLE = 0x80
NOTICE_OF_DISCONNECTION = "1.3.6.1.4.1.1466.20036"
OPERATIONS_ERROR, SIZE_LIMIT_EXCEEDED, REFERRAL = 1, 4, 10
BASE = "DC=corp,DC=test"
NAMING = {b"samaccountname", b"userprincipalname"}
MAX_MESSAGE = 262_144


def ad_refusal(data: str) -> tuple[int, str]:
    """How AD says 49: the sub-code is in the text."""
    return 49, f"80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {data}, v2580"


def fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


@dataclass
class Account:
    user: str
    password: bytes = field(repr=False)
    attributes: dict[str, list[str]] = field(default_factory=dict)
    refusal: tuple[int, str] | None = None  # answers the right password
    dn: str = ""

    def __post_init__(self) -> None:
        self.dn = self.dn or f"CN={self.user},OU=People,{BASE}"
        self.attributes = {
            "objectClass": ["top", "person", "organizationalPerson", "user"],
            "objectCategory": ["person"],
            "cn": [self.user],
            "sAMAccountName": [self.user],
            "uid": [self.user],
            "userPrincipalName": [f"{self.user}@corp.test"],
            "distinguishedName": [self.dn],
            **self.attributes,
        }

    def names(self) -> set[str]:
        upn, sam = self.attributes["userPrincipalName"], self.attributes["sAMAccountName"]
        return {fold(name) for name in (self.dn, *upn, *sam, *(f"CORP\\{name}" for name in sam))}


@dataclass
class Session:
    """One connection. `bound`: whose it is, '' for nobody's."""

    writer: asyncio.StreamWriter
    bound: str = ""


class Directory:
    """Accounts and faults may be changed while it runs; the port stays the same over `refuse` and `listen`."""

    def __init__(self, loop: Loop, journal: Journal, address: str = "127.0.0.1", port: int = 0) -> None:
        self._loop, self._journal, self.address, self.port = loop, journal, address, port
        self.accounts: list[Account] = []
        self.references: list[str] = []  # sent with every search's result
        self.referral: str | None = None  # instead of a search's result
        self.notice = False  # a Notice of Disconnection instead of the next bind's answer
        self.connections = 0  # since it was made
        self._by_name: dict[str, list[Account]] = {}
        self._faults: list[tuple[str, str | None, Fault]] = []
        self._sessions: list[Session] = []
        self.listen()

    # -- what the test scripts ---------------------------------------------------------------------

    def break_(
        self, operation: Literal["bind", "search", "*"], fault: Fault, user: str | None = None
    ) -> None:
        """The next answers to this operation go wrong; of a bind, only those as this user."""
        self._faults.append((operation, user, fault))

    def heal(self) -> None:
        self._faults.clear()
        self.references, self.referral, self.notice = [], None, False

    def listen(self) -> None:
        start = asyncio.start_server(self._serve, self.address, self.port, backlog=512)
        self._server = self._loop.call(start)
        self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Close the port and every connection."""

        async def close() -> None:
            self._server.close()
            for session in self._sessions:
                session.writer.transport.abort()

        self._loop.call(close())

    def hang_up(self) -> None:
        """End every connection that is open, as an AD does with idle ones; the port stays open."""

        async def close() -> None:
            for session in self._sessions:
                session.writer.close()

        self._loop.call(close())

    def add(self, user: str, password: str | bytes, **more: object) -> Account:
        octets = password.encode() if isinstance(password, str) else password
        account = Account(user, octets, **more)  # type: ignore[arg-type]
        self.accounts.append(account)
        for name in account.names():
            self._by_name.setdefault(name, []).append(account)
        return account

    def share(self, other: Directory) -> None:
        """Have the accounts of another directory, also those that it gets later."""
        self.accounts, self._by_name = other.accounts, other._by_name

    def user_of(self, name: str) -> str:
        """The one account that this name means, or ''."""
        account = self._account(name)
        return account.user if account else ""

    # -- the service -------------------------------------------------------------------------------

    def _account(self, name: str) -> Account | None:
        return next(iter(self._by_name.get(fold(name), ())), None)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(writer)
        self._sessions.append(session)
        self.connections += 1
        try:
            while (message := await _read(reader)) is not None:
                identifier, (tag, value) = message
                if tag == UNBIND:
                    break
                await self._operate(session, identifier, tag, value)
        except (ber.Malformed, UnicodeDecodeError, ValueError, IndexError) as malformed:
            self._journal.add(PrimaryRefused, why=f"{type(malformed).__name__}: {malformed}")
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._sessions.remove(session)
            with contextlib.suppress(ConnectionError, RuntimeError):
                writer.close()

    async def _operate(self, session: Session, identifier: int, tag: int, value: bytes) -> None:
        if tag == BIND:
            await self._bind(session, identifier, value)
        elif tag == SEARCH:
            await self._search(session, identifier, value)
        elif tag == ABANDON:
            ber.number((ber.INTEGER, value))
        elif tag == EXTENDED:
            await self._send(session, identifier, _result(EXTENDED_RESPONSE, 2, "unsupported here"))
        else:
            raise ber.Malformed(f"operation 0x{tag:02x}")

    async def _bind(self, session: Session, identifier: int, value: bytes) -> None:
        version, name, (choice, password) = ber.split(value)
        if ber.number(version) != 3:
            raise ber.Malformed("LDAP version is not 3")
        text = ber.string(name).decode()
        account = self._account(text)
        code, message = _check(account, choice, text, password)
        user = account.user if account else ""
        session.bound = user if code == 0 and password else ""
        if self.notice:
            self.notice = False
            oid = ber.text(NOTICE_OF_DISCONNECTION, 0x8A)
            await self._send(session, 0, _result(EXTENDED_RESPONSE, 52, "going down", oid))
            raise ConnectionError("disconnected on purpose")

        def leaving() -> None:
            self._journal.add(PrimaryBind, name=text, user=user, password=password, result=code)

        response = _message(identifier, _result(BIND_RESPONSE, code, message))
        fault = self._fault("bind", user)
        if fault is not None and (fault.replaces or fault.drip):
            # Counted for whoever counts binds, but nobody was told that it was right.
            self._journal.add(PrimaryBind, name=text, user=user, password=password, result=-1)
        await answer(session.writer, response, fault, leaving)

    async def _search(self, session: Session, identifier: int, value: bytes) -> None:
        base_element, scope_element, deref, size, seconds, types_only, wanted, attributes = ber.split(value)
        base, scope = ber.string(base_element).decode(), ber.number(scope_element, ber.ENUMERATED)
        if not (0 <= scope <= 2 and 0 <= ber.number(deref, ber.ENUMERATED) <= 3):
            raise ber.Malformed("scope or derefAliases")
        limit = ber.number(size)
        if limit < 0 or ber.number(seconds) < 0 or types_only[0] != 0x01:
            raise ber.Malformed("limits or typesOnly")
        names = [ber.string(name).decode() for name in ber.split(ber.string(attributes, ber.SEQUENCE))]
        if scope == 0 and not base:
            root = {"supportedLDAPVersion": ["3"], "defaultNamingContext": [BASE]}
            await self._send(session, identifier, _entry("", root, names))
            await self._send(session, identifier, _result(SEARCH_DONE, 0, ""))
            return
        found = self._found(base, scope, wanted)
        self._journal.add(PrimarySearch, base=base, filter=printed(*wanted), entries=len(found))
        if not session.bound:
            text = "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful bind"
            await self._send(session, identifier, _result(SEARCH_DONE, OPERATIONS_ERROR, text))
            return
        await self._send_found(session, identifier, found, limit, names)

    async def _send_found(
        self, session: Session, identifier: int, found: list[Account], limit: int, names: list[str]
    ) -> None:
        done = _result(SEARCH_DONE, 0, "")
        if limit and len(found) > limit:
            found, done = found[:limit], _result(SEARCH_DONE, SIZE_LIMIT_EXCEEDED, "")
        if self.referral is not None:
            found, done = [], _result(SEARCH_DONE, REFERRAL, "", ber.tlv(0xA3, ber.text(self.referral)))
        for account in found:
            await self._send(session, identifier, _entry(account.dn, account.attributes, names))
        for uri in self.references:
            await self._send(session, identifier, ber.tlv(SEARCH_REFERENCE, ber.text(uri)))
        await answer(session.writer, _message(identifier, done), self._fault("search", None))

    def _found(self, base: str, scope: int, wanted: tuple[int, bytes]) -> list[Account]:
        candidates = self._candidates(*wanted)
        candidates = self.accounts if candidates is None else candidates
        found = [account for account in candidates if matches(account.attributes, *wanted)]
        if scope == 0:
            return [account for account in found if fold(account.dn) == fold(base)]
        below = f",{fold(base)}"
        if scope == 1:
            return [account for account in found if fold(account.dn.partition(",")[2]) == fold(base)]
        return [account for account in found if f",{fold(account.dn)}".endswith(below)]

    def _candidates(self, tag: int, value: bytes) -> list[Account] | None:
        """An index, for ten thousand accounts: those that can match at all; None: any."""
        if tag == AND:
            known = [self._candidates(*element) for element in ber.split(value)]
            return min((found for found in known if found is not None), key=len, default=None)
        if tag == EQUALITY:
            name, wanted = ber.split(value)
            if name[1].lower() in NAMING:
                return self._by_name.get(fold(wanted[1].decode("utf-8", "surrogateescape")), [])
        return None

    def _fault(self, operation: str, user: str | None) -> Fault | None:
        for wanted, whose, fault in self._faults:
            if wanted in {operation, "*"} and whose in {user, None} and fault.take():
                return fault
        return None

    async def _send(self, session: Session, identifier: int, operation: bytes) -> None:
        await answer(session.writer, _message(identifier, operation), None)


async def _read(reader: asyncio.StreamReader) -> tuple[int, tuple[int, bytes]] | None:
    """The next message's identifier and operation; None at the end. Raises ber.Malformed."""
    start = await reader.read(1)
    if not start:
        return None
    while (head := ber.header(start)) is None:
        start += await reader.readexactly(1)
    if start[0] != ber.SEQUENCE or head[1] > MAX_MESSAGE:
        raise ber.Malformed(f"no LDAP message: tag 0x{start[0]:02x}, {head[1]} octets")
    elements = ber.split(await reader.readexactly(head[1]))
    identifier = ber.number(elements[0])
    if identifier < 1 or len(elements) not in {2, 3}:
        raise ber.Malformed(f"message {identifier} of {len(elements)} elements")
    return identifier, elements[1]


def _check(account: Account | None, choice: int, name: str, password: bytes) -> tuple[int, str]:
    if choice != SIMPLE:
        return 7, "simple binds only"
    if not password:
        return 0, ""  # anonymous, or RFC 4513 §5.1.2 unauthenticated
    if account is None or account.password != password:
        return ad_refusal("52e")
    return account.refusal or (0, "")


def _message(identifier: int, operation: bytes) -> bytes:
    return ber.tlv(ber.SEQUENCE, ber.integer(identifier), operation)


def _result(tag: int, code: int, text: str, *more: bytes) -> bytes:
    return ber.tlv(tag, ber.integer(code, ber.ENUMERATED), ber.text(""), ber.text(text), *more)


def _entry(dn: str, attributes: dict[str, list[str]], names: list[str]) -> bytes:
    """The attributes that were asked for; all when none or '*' was (RFC 4511 §4.5.1.8)."""
    wanted = {name.lower() for name in names}
    everything = not wanted or "*" in wanted
    listed = (
        ber.tlv(ber.SEQUENCE, ber.text(name), ber.tlv(ber.SET, *(ber.text(value) for value in values)))
        for name, values in attributes.items()
        if everything or name.lower() in wanted
    )
    return ber.tlv(SEARCH_ENTRY, ber.text(dn), ber.tlv(ber.SEQUENCE, *listed))
