"""A RADIUS section: what turns its packets into logins, and its decisions into attributes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any, Protocol

from authproxy.listeners.radius.clients import Client
from authproxy.listeners.radius.secret_check import looks_like_noise
from authproxy.observe.log import Log
from authproxy.pipeline.decision import Accept, Challenge, Decision, Reason, Reject
from authproxy.pipeline.logins import Answer
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.username import MalformedUsername, Username, read_username
from authproxy.protocols.radius.attributes import reply_messages
from authproxy.protocols.radius.packet import STATE, USER_NAME, USER_PASSWORD, Attribute, Code, Packet
from authproxy.protocols.radius.password import CredentialKind, decrypt_password
from authproxy.protocols.radius.vendor import Key, first
from authproxy.secret import Secret

CALLING_STATION_ID = 31

# A user name that could not be read, as the record shows it.
UNREADABLE = Username("", "")


class Logins(Protocol):
    def submit(self, request: AuthRequest, answer: Answer) -> Coroutine[Any, Any, None] | None: ...


class Rejecter(Protocol):
    def reject(self, request: AuthRequest, reason: Reason, cause: str = "") -> Reject: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What the listener knows of a datagram beside its octets."""

    client: Client
    source_ip: str
    received: float  # monotonic seconds
    authentic: bool  # a Message-Authenticator was there and right
    proven: bool  # this client's secret has been right before
    log: Log = field(repr=False)  # where to say what the datagram makes one say; flood-proof


class RadiusSection:
    """PAP logins of one section (`radius_server_auto`)."""

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
        new_login: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        """`patience`: seconds until a login is given up; `client_ip_attribute`: where the user's address stands."""
        self.name = name
        self._logins = logins
        self._rejecter = rejecter
        self._patience = patience
        self._client_ip_attribute = client_ip_attribute
        self._trust_unsigned_client_ip = trust_unsigned_client_ip
        self._password_codec = password_codec
        self._new_login = new_login

    def ask(
        self, packet: Packet, kind: CredentialKind, asked: Asked, answer: Answer
    ) -> Coroutine[Any, Any, None] | None:
        """Begin a login, or answer at once. Returns the work to run, None when there is none.

        Raises MalformedPacket: what no NAS sends (R26).
        """
        request = self._request(packet, asked)
        problem = self._read(packet, kind, asked, request)
        if isinstance(problem, AuthRequest):
            return self._logins.submit(problem, answer)
        answer(self._rejecter.reject(request, Reason.MALFORMED, problem))
        return None

    def _request(self, packet: Packet, asked: Asked) -> AuthRequest:
        calling_station = packet.first(CALLING_STATION_ID) or b""
        return AuthRequest(
            login=self._new_login(),
            section=self.name,
            username=UNREADABLE,
            password=Secret(b""),
            client=asked.client.name,
            nas_ip=asked.source_ip,
            received=asked.received,
            deadline=asked.received + self._patience,
            client_ip=self._client_ip(packet, asked),
            calling_station=calling_station,
            state=packet.first(STATE) or b"",
            can_challenge=True,
            carried=packet,
        )

    def _read(
        self, packet: Packet, kind: CredentialKind, asked: Asked, request: AuthRequest
    ) -> AuthRequest | str:
        """The whole request, or in a word what is wrong with it."""
        try:
            username = read_username(packet.first(USER_NAME) or b"")
        except MalformedUsername as malformed:
            asked.log.warn("radius.username_refused", client=asked.client.name, problem=str(malformed))
            return "username"
        request = replace(request, username=username)
        if kind is not CredentialKind.PAP:
            # The directory compares passwords; CHAP, MS-CHAP and EAP never show it one (R28).
            asked.log.warn(
                "radius.credential_not_usable",
                client=asked.client.name,
                credential=kind.name,
                todo="set the NAS to PAP, or give this section a radius_client",
            )
            return "credential"
        sent = packet.first(USER_PASSWORD) or b""
        password = decrypt_password(sent, asked.client.secret, packet.authenticator)
        if not asked.authentic and looks_like_noise(password, len(sent), proven=asked.proven):
            asked.log.warn(
                "radius.secret_suspected",
                client=asked.client.name,
                source=asked.source_ip,
                todo="compare the shared secret of this client with the one here",
            )
            return "wrong_secret"
        if b"\0" in password.reveal():
            return "nul_in_password"
        return self._with_password(request, password)

    def _with_password(self, request: AuthRequest, password: Secret) -> AuthRequest | str:
        """`pw_codec`: what the NAS writes passwords in; directories read UTF-8. utf-8 leaves the octets alone (R24)."""
        if self._password_codec == "utf-8":
            return replace(request, password=password)
        try:
            text = password.reveal().decode(self._password_codec)
        except UnicodeDecodeError:
            return "password_codec"
        return replace(request, password=Secret.of(text))

    def _client_ip(self, packet: Packet, asked: Asked) -> str | None:
        """The user's own address, if the NAS says one and the packet can be believed (R22)."""
        if self._client_ip_attribute is None or not (asked.authentic or self._trust_unsigned_client_ip):
            return None
        value = first(packet, self._client_ip_attribute)
        if not value:
            return None
        try:
            return str(ip_address(value.decode("ascii")))
        except (UnicodeDecodeError, ValueError):
            return None


def reply_of(decision: Decision) -> tuple[Code, Sequence[Attribute]]:
    """The reply's code and what it carries; the codec adds Message-Authenticator and Proxy-State.

    A Reject carries its message and nothing of the primary's Accept (R42).
    """
    match decision:
        case Accept(_, message):
            return Code.ACCESS_ACCEPT, reply_messages(message)
        case Challenge(_, message, state):
            return Code.ACCESS_CHALLENGE, [*reply_messages(message, lines=True), Attribute(STATE, state)]
        case Reject(_, message):
            return Code.ACCESS_REJECT, reply_messages(message)
