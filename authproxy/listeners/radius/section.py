"""A RADIUS section: turns its packets into logins."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Coroutine
from dataclasses import field
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Protocol

from authproxy.listeners.radius.clients import Client
from authproxy.listeners.radius.discards import Discarded
from authproxy.listeners.radius.load import Frequency
from authproxy.listeners.radius.secret_check import looks_like_noise
from authproxy.observe.log import Log
from authproxy.pipeline.decision import Reason, Reject
from authproxy.pipeline.logins import Answer
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.username import MalformedUsername, Username, read_username
from authproxy.protocols.radius.packet import STATE, USER_NAME, USER_PASSWORD, Packet
from authproxy.protocols.radius.password import CredentialKind, decrypt_password, proof
from authproxy.protocols.radius.relay import Allowed, FromNas, shown_to_primary
from authproxy.protocols.radius.vendor import Key, first
from authproxy.secret import Secret
from authproxy.values import light_dataclass

CALLING_STATION_ID = 31
# A minute, of each client: what is unsigned and no login is recorded so often. It takes no secret to send them, and a
# thousand a second would push everything else out of the audit's files (A14).
MOST_STRANGE = 20

# A user name that could not be read, as the record shows it.
UNREADABLE = Username("", "")


class Logins(Protocol):
    def submit(self, request: AuthRequest, answer: Answer) -> Coroutine[Any, Any, None] | None: ...


class Section(Protocol):
    """Answers a client's Access-Requests."""

    def ask(
        self, packet: Packet, kind: CredentialKind, asked: Asked, answer: Answer
    ) -> Coroutine[Any, Any, None] | None: ...

    def stays_silent(self) -> bool:
        """Whether `failmode: silent` applies now, so that clients ask another server."""

    def continues(self, packet: Packet) -> bool:
        """Whether the packet continues a login that was begun here: an answer to an open challenge of ours (A1)."""


class Rejecter(Protocol):
    def reject(self, request: AuthRequest, reason: Reason, cause: str = "") -> Reject: ...


@light_dataclass(frozen=True, slots=True)
class Asked:
    """What the listener knows about a datagram beside its octets."""

    client: Client
    source_ip: str
    received: float  # monotonic seconds
    authentic: bool  # a Message-Authenticator was there and right
    proven: bool  # this client's secret has been right before
    log: Log = field(repr=False)  # where to say what the datagram makes one say; flood-proof


class _Unusable(Exception):
    """No login can be made of this packet: `cause` is the record's word for why."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class RadiusSection:
    """The logins of one section. `relayed`: its primary is a RADIUS server, which may see these attributes of the NAS's
    request.
    """

    def __init__(
        self,
        *,
        name: str,
        logins: Logins,
        rejecter: Rejecter,
        patience: float,
        client_ip_attribute: Key | None,
        trust_unsigned_client_ip: bool,
        password_codec: str,
        relayed: Allowed | None = None,
        stays_silent: Callable[[], bool] = lambda: False,
        awaits: Callable[[bytes], bool] = lambda _: False,
        new_login: Callable[[], str] = lambda: os.urandom(8).hex(),
    ) -> None:
        """`patience`: seconds until a login is given up. `client_ip_attribute`: the attribute with the user's address.
        `awaits`: whether a State belongs to an open challenge.
        """
        self.name = name
        self._awaits = awaits
        self.stays_silent = stays_silent
        self._logins = logins
        self._rejecter = rejecter
        self._patience = patience
        self._client_ip_attribute = client_ip_attribute
        self._trust_unsigned_client_ip = trust_unsigned_client_ip
        self._password_codec = password_codec
        self._relayed = relayed
        self._new_login = new_login
        self._strange = Frequency(60)

    def ask(
        self, packet: Packet, kind: CredentialKind, asked: Asked, answer: Answer
    ) -> Coroutine[Any, Any, None] | None:
        """Begin a login, or answer at once. Returns the work to run; None if there is none.

        Raises MalformedPacket for what no NAS sends (R26), and Discarded for one more request of a kind that anybody
        may have sent.
        """
        username, password = UNREADABLE, Secret(b"")
        try:
            username = self._username(packet, asked)
            password = self._password(packet, kind, asked)
        except _Unusable as unusable:
            if not asked.authentic and self._strange.exceeds(asked.client, MOST_STRANGE, asked.received):
                raise Discarded(unusable.cause, f"client {asked.client.name}; it is unsigned") from None
            request = self.request(packet, kind, asked, username, password)
            answer(self._rejecter.reject(request, Reason.MALFORMED, unusable.cause))
            return None
        return self._logins.submit(self.request(packet, kind, asked, username, password), answer)

    def continues(self, packet: Packet) -> bool:
        state = packet.first(STATE)
        return state is not None and self._awaits(state)

    def unread(self, packet: Packet, kind: CredentialKind, asked: Asked) -> AuthRequest:
        """For the record of a packet from which no login was made."""
        try:
            username = read_username(packet.first(USER_NAME) or b"")
        except MalformedUsername:
            username = UNREADABLE
        return self.request(packet, kind, asked, username, Secret(b""))

    def request(
        self, packet: Packet, kind: CredentialKind, asked: Asked, username: Username, password: Secret
    ) -> AuthRequest:
        """The login that this packet asks for."""
        carried = None if self._relayed is None else FromNas(packet, kind, self._relayed)
        return AuthRequest(
            login=self._new_login(),
            section=self.name,
            username=username,
            password=password,
            client=asked.client.name,
            nas_ip=asked.source_ip,
            received=asked.received,
            deadline=asked.received + self._patience,
            client_ip=self._client_ip(packet, asked),
            calling_station=packet.first(CALLING_STATION_ID) or b"",
            state=packet.first(STATE) or b"",
            # Inside EAP and MS-CHAP nobody can be asked back in words.
            can_challenge=kind is CredentialKind.PAP,
            opaque=kind is not CredentialKind.PAP,
            shown=b"" if carried is None else shown_to_primary(carried),
            carried=carried,
        )

    def _username(self, packet: Packet, asked: Asked) -> Username:
        try:
            return read_username(packet.first(USER_NAME) or b"")
        except MalformedUsername as malformed:
            asked.log.warn("radius.username_refused", client=asked.client.name, problem=str(malformed))
            raise _Unusable("username") from None

    def _password(self, packet: Packet, kind: CredentialKind, asked: Asked) -> Secret:
        if kind is not CredentialKind.PAP:
            return self._proof(packet, kind, asked)
        sent = packet.first(USER_PASSWORD) or b""
        password = decrypt_password(sent, asked.client.secret, packet.authenticator)
        if not asked.authentic and looks_like_noise(password, len(sent), proven=asked.proven):
            asked.log.warn(
                "radius.secret_suspected",
                client=asked.client.name,
                source=asked.source_ip,
                todo="compare the shared secret of this client with the one here",
            )
            raise _Unusable("wrong_secret")
        if b"\0" in password.reveal():
            raise _Unusable("nul_in_password")
        return self._in_utf8(password)

    def _proof(self, packet: Packet, kind: CredentialKind, asked: Asked) -> Secret:
        """What tells this proof from another; only a RADIUS primary can check it (R28).

        A directory compares passwords; CHAP, MS-CHAP and EAP never show it one.
        """
        if self._relayed is None or kind in (CredentialKind.NONE, CredentialKind.ARAP):
            asked.log.warn(
                "radius.credential_not_usable",
                client=asked.client.name,
                credential=kind.name,
                todo="set the NAS to PAP, or give this section a radius_client",
            )
            raise _Unusable("credential")
        return Secret(proof(packet, kind))

    def _in_utf8(self, password: Secret) -> Secret:
        """`pw_codec`: what the NAS writes passwords in; directories read UTF-8. utf-8 leaves the octets alone (R24)."""
        if self._password_codec == "utf-8":
            return password
        try:
            return Secret.of(password.reveal().decode(self._password_codec))
        except UnicodeError:
            # Not from the first one, whose text shows octets.
            raise _Unusable("password_codec") from None

    def _client_ip(self, packet: Packet, asked: Asked) -> str | None:
        """The user's own address, if the NAS says one and the packet can be believed (R22)."""
        if self._client_ip_attribute is None or not (asked.authentic or self._trust_unsigned_client_ip):
            return None
        value = first(packet, self._client_ip_attribute)
        return _address(value) if value else None


@lru_cache(maxsize=4096)
def _address(octets: bytes) -> str | None:
    """Users come back, and reading an address costs more than checking the packet's signature does."""
    try:
        text = octets.decode("ascii")
        if ":" in text:
            return str(ip_address(text))
        socket.inet_pton(socket.AF_INET, text)  # four decimal numbers, and so written in one way only
    except (ValueError, OSError):
        return None
    return text
