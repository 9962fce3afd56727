"""A scripted directory: simple binds and searches over clear LDAP, and everything an AD can do to a client.

Like Active Directory it answers a bind with a name and no password with success (RFC 4513 §5.1.2), so a
proxy that lets such a bind out is caught by the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import unicodedata
from dataclasses import dataclass, field

from tests.system.bench import ber
from tests.system.bench.journal import Journal, PrimaryBind, PrimarySearch
from tests.system.bench.loop import Fault, Loop, answer

BIND, BIND_RESPONSE, UNBIND, SEARCH, SEARCH_ENTRY, SEARCH_DONE, SEARCH_REFERENCE = (
    0x60, 0x61, 0x42, 0x63, 0x64, 0x65, 0x73,
)  # fmt: skip
EXTENDED, EXTENDED_RESPONSE = 0x77, 0x78
NOTICE_OF_DISCONNECTION = "1.3.6.1.4.1.1466.20036"
BASE = "DC=corp,DC=test"


def ad_refusal(data: str) -> tuple[int, str]:
    """How AD says 49: the sub-code is in the text."""
    return 49, f"80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {data}, v2580"


def fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


@dataclass
class Account:
    user: str
    password: bytes
    attributes: dict[str, list[str]] = field(default_factory=dict)
    refusal: tuple[int, str] | None = None  # answers the right password
    dn: str = ""

    def __post_init__(self) -> None:
        self.dn = self.dn or f"CN={self.user},OU=People,{BASE}"
        self.attributes = {
            "objectClass": ["top", "person", "user"],
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


class Directory:
    """Accounts and faults may be changed while it runs."""

    def __init__(self, loop: Loop, journal: Journal, host: str = "127.0.0.1") -> None:
        self._loop, self._journal, self.host = loop, journal, host
        self.accounts: list[Account] = []
        self.bind_faults: list[Fault] = []
        self.search_faults: list[Fault] = []
        self.references: list[str] = []  # sent with every search's result
        self.referral: str | None = None  # instead of a search's result
        self.notice: bool = False  # a Notice of Disconnection instead of the next bind's answer
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self.listen()

    def listen(self) -> None:
        start = asyncio.start_server(self._serve, self.host, self.port, backlog=512)
        self._server = self._loop.call(start)
        self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Close the port and every connection."""

        async def close() -> None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()

        self._loop.call(close())

    def add(self, user: str, password: str | bytes, **more: object) -> Account:
        octets = password.encode() if isinstance(password, str) else password
        account = Account(user, octets, **more)  # type: ignore[arg-type]
        self.accounts.append(account)
        return account

    def user_of(self, name: str) -> str:
        """The one account that this name means, or ''."""
        return next((a.user for a in self.accounts if fold(name) in a.names()), "")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while (message := await self._read(reader)) is not None:
                identifier, operation = message
                if not await self._operate(writer, identifier, *operation):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            with contextlib.suppress(ConnectionError, RuntimeError):
                writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> tuple[int, tuple[int, bytes]] | None:
        start = await reader.read(1)
        if not start:
            return None
        while (head := ber.header(start)) is None:
            start += await reader.readexactly(1)
        value = await reader.readexactly(head[1] - (len(start) - head[0]))
        elements = ber.split(start[head[0] :] + value)
        return int.from_bytes(elements[0][1], "big"), elements[1]

    async def _operate(self, writer: asyncio.StreamWriter, identifier: int, tag: int, value: bytes) -> bool:
        if tag == UNBIND:
            return False
        if tag == BIND:
            await self._bind(writer, identifier, value)
        elif tag == SEARCH:
            await self._search(writer, identifier, value)
        elif tag == EXTENDED:
            await self._send(writer, identifier, _result(EXTENDED_RESPONSE, 2, "unsupported here"))
        return True

    async def _bind(self, writer: asyncio.StreamWriter, identifier: int, value: bytes) -> None:
        _, (_, name_octets), (choice, password) = ber.split(value)[:3]
        name = name_octets.decode()
        account = next((a for a in self.accounts if fold(name) in a.names()), None)
        code, text = _check(account, choice, name, password)
        self._journal.add(
            PrimaryBind, name=name, user=account.user if account else "", password=password, result=code
        )
        if self.notice:
            self.notice = False
            oid = ber.text(NOTICE_OF_DISCONNECTION, 0x8A)
            await self._send(writer, 0, _result(EXTENDED_RESPONSE, 52, "going down", oid))
            raise ConnectionError("disconnected on purpose")
        await self._send(writer, identifier, _result(BIND_RESPONSE, code, text), _next(self.bind_faults))

    async def _search(self, writer: asyncio.StreamWriter, identifier: int, value: bytes) -> None:
        elements = ber.split(value)
        base, scope, wanted = elements[0][1].decode(), elements[1][1][0], elements[6]
        found = [] if scope == 0 and not base else self._found(base, scope, wanted)
        octets = [_entry(account) for account in found]
        if scope == 0 and not base:
            octets = [_attributes("", {"supportedLDAPVersion": ["3"], "defaultNamingContext": [BASE]})]
        octets += [ber.tlv(SEARCH_REFERENCE, ber.text(uri)) for uri in self.references]
        self._journal.add(PrimarySearch, base=base, filter=_printed(*wanted), entries=len(found))
        if self.referral is not None:
            done = _result(SEARCH_DONE, 10, "", ber.tlv(0xA3, ber.text(self.referral)))
        else:
            done = _result(SEARCH_DONE, 0, "")
        for element in octets:
            await self._send(writer, identifier, element)
        await self._send(writer, identifier, done, _next(self.search_faults))

    def _found(self, base: str, scope: int, wanted: tuple[int, bytes]) -> list[Account]:
        inside = [a for a in self.accounts if fold(a.dn).endswith(fold(base))]
        if scope == 0:
            inside = [a for a in inside if fold(a.dn) == fold(base)]
        return [account for account in inside if _matches(account, *wanted)]

    async def _send(
        self, writer: asyncio.StreamWriter, identifier: int, operation: bytes, fault: Fault | None = None
    ) -> None:
        await answer(writer, ber.tlv(ber.SEQUENCE, ber.integer(identifier), operation), fault)


def _next(faults: list[Fault]) -> Fault | None:
    return next((fault for fault in faults if fault.take()), None)


def _check(account: Account | None, choice: int, name: str, password: bytes) -> tuple[int, str]:
    if choice != 0x80:
        return 7, "simple binds only"
    if not password:
        return 0, ""  # anonymous, or RFC 4513 §5.1.2 unauthenticated
    if account is None or account.password != password:
        return ad_refusal("52e")
    return account.refusal or (0, "")


def _result(tag: int, code: int, text: str, *more: bytes) -> bytes:
    return ber.tlv(tag, ber.integer(code, ber.ENUMERATED), ber.text(""), ber.text(text), *more)


def _entry(account: Account) -> bytes:
    return _attributes(account.dn, account.attributes)


def _attributes(dn: str, attributes: dict[str, list[str]]) -> bytes:
    listed = (
        ber.tlv(ber.SEQUENCE, ber.text(name), ber.tlv(ber.SET, *(ber.text(value) for value in values)))
        for name, values in attributes.items()
    )
    return ber.tlv(SEARCH_ENTRY, ber.text(dn), ber.tlv(ber.SEQUENCE, *listed))


def _matches(account: Account, tag: int, value: bytes) -> bool:
    if tag in {0xA0, 0xA1}:
        combine = all if tag == 0xA0 else any
        return combine(_matches(account, *element) for element in ber.split(value))
    if tag == 0xA2:
        return not _matches(account, *ber.split(value)[0])
    if tag == 0x87:
        return bool(_values(account, value.decode()))
    if tag == 0xA3:
        (_, name), (_, wanted) = ber.split(value)
        return fold(wanted.decode()) in map(fold, _values(account, name.decode()))
    if tag == 0xA9:  # an extensible match: as equality of its attribute
        parts = dict(ber.split(value))
        return fold(parts[0x83].decode()) in map(fold, _values(account, parts.get(0x82, b"").decode()))
    return False


def _values(account: Account, name: str) -> list[str]:
    return next((values for key, values in account.attributes.items() if key.lower() == name.lower()), [])


def _printed(tag: int, value: bytes) -> str:
    """The filter for a reader, nearly RFC 4515."""
    if tag in {0xA0, 0xA1, 0xA2}:
        inner = "".join(_printed(*element) for element in ber.split(value))
        return f"({'&|!'[tag - 0xA0]}{inner})"
    if tag == 0x87:
        return f"({value.decode()}=*)"
    if tag == 0xA3:
        (_, name), (_, wanted) = ber.split(value)
        return f"({name.decode()}={wanted.decode()})"
    return f"(0x{tag:02x})"
