"""The client's role: requests to a RADIUS server, and which replies to them count (R20, R35).

That a reply came from the server's address and port, to the socket that asked, is the caller's to see to.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from enum import StrEnum

from authproxy.protocols.radius.keyed import hmac_md5
from authproxy.protocols.radius.message_authenticator import (
    BLANK,
    TYPE_AND_LENGTH,
    verify_message_authenticator,
)
from authproxy.protocols.radius.packet import (
    HEADER,
    MAX_PACKET,
    MESSAGE_AUTHENTICATOR,
    PROXY_STATE,
    USER_NAME,
    USER_PASSWORD,
    Code,
    MalformedPacket,
    Packet,
    decode,
    encode_attributes,
)
from authproxy.protocols.radius.password import encrypt_password
from authproxy.protocols.radius.reply import response_authenticator
from authproxy.secret import Secret


class ReplyProblem(StrEnum):
    """Why a reply doesn't count; a label of a metric."""

    MALFORMED = "malformed"
    IDENTIFIER = "identifier"
    CODE = "code"
    RESPONSE_AUTHENTICATOR = "response_authenticator"
    MESSAGE_AUTHENTICATOR = "message_authenticator"
    MESSAGE_AUTHENTICATOR_MISSING = "message_authenticator_missing"
    PROXY_STATE = "proxy_state"


class UnacceptableReply(Exception):
    """Not an answer to our request: drop it, and keep waiting (RFC 5080 §2.2.2)."""

    def __init__(self, problem: ReplyProblem, detail: str = "") -> None:
        super().__init__(f"{problem}: {detail}" if detail else str(problem))
        self.problem = problem


# RFC 2865 §4.1, RFC 2866 §4.1, RFC 5997 §3.
LEGAL_REPLIES: dict[int, frozenset[int]] = {
    Code.ACCESS_REQUEST: frozenset((Code.ACCESS_ACCEPT, Code.ACCESS_REJECT, Code.ACCESS_CHALLENGE)),
    Code.ACCOUNTING_REQUEST: frozenset((Code.ACCOUNTING_RESPONSE,)),
    Code.STATUS_SERVER: frozenset((Code.ACCESS_ACCEPT, Code.ACCOUNTING_RESPONSE)),
}


def pap_request(
    user_name: bytes,
    password: Secret,
    *,
    identifier: int,
    authenticator: bytes,
    secret: Secret,
    attributes: Iterable[tuple[int, bytes]] = (),
) -> Packet:
    """An Access-Request with User-Name and User-Password, then `attributes`.

    `authenticator`: 16 octets from a good source, never used before with this secret (RFC 2865 §3): PAP's
    strength is theirs. Raises ValueError: a password over 128 octets, a value or a packet that is too long.
    """
    hidden = encrypt_password(password, secret, authenticator)
    login = ((USER_NAME, user_name), (USER_PASSWORD, hidden))
    return signed_request(
        Code.ACCESS_REQUEST,
        (*login, *attributes),
        identifier=identifier,
        authenticator=authenticator,
        secret=secret,
    )


def status_server(
    *, identifier: int, authenticator: bytes, secret: Secret, attributes: Iterable[tuple[int, bytes]] = ()
) -> Packet:
    """RFC 5997 §2: a request that asks whether the server is there and the secret is right. Raises ValueError."""
    return signed_request(
        Code.STATUS_SERVER, attributes, identifier=identifier, authenticator=authenticator, secret=secret
    )


def signed_request(
    code: int,
    attributes: Iterable[tuple[int, bytes]],
    *,
    identifier: int,
    authenticator: bytes,
    secret: Secret,
) -> Packet:
    """Any request that carries a random Authenticator; Message-Authenticator is added, first (R20).

    Raises ValueError: a value or a packet that is too long, an Authenticator that is not 16 octets.
    """
    if len(authenticator) != 16:
        raise ValueError(f"an Authenticator of {len(authenticator)} octets")
    carried = [attribute for attribute in attributes if attribute[0] != MESSAGE_AUTHENTICATOR]
    body = encode_attributes(carried)
    length = HEADER + 18 + len(body)
    if length > MAX_PACKET:
        raise ValueError(f"a request of {length} octets; RADIUS carries {MAX_PACKET}")
    head = bytes((code, identifier, length >> 8, length & 0xFF)) + authenticator
    signature = hmac_md5(secret.reveal(), b"".join((head, TYPE_AND_LENGTH, BLANK, body)))
    octets = b"".join((head, TYPE_AND_LENGTH, signature, body))
    return Packet.of(code, identifier, authenticator, [(MESSAGE_AUTHENTICATOR, signature), *carried], octets)


def read_reply(
    datagram: bytes, request: Packet, secret: Secret, *, require_message_authenticator: bool = True
) -> Packet:
    """The reply, when it is one to this request, from a server that knows the secret.

    A Message-Authenticator that is there is always checked; `require_message_authenticator` False lets one be
    missing, which leaves the server open to CVE-2024-3596. Raises UnacceptableReply.
    """
    try:
        reply = decode(datagram)
    except MalformedPacket as malformed:
        raise UnacceptableReply(ReplyProblem.MALFORMED, str(malformed)) from None
    if reply.identifier != request.identifier:
        raise UnacceptableReply(ReplyProblem.IDENTIFIER)
    if reply.code not in LEGAL_REPLIES.get(request.code, frozenset()):
        raise UnacceptableReply(ReplyProblem.CODE, f"{reply.code} to {request.code}")
    _check_signatures(reply, request, secret, require_message_authenticator)
    if PROXY_STATE in reply.types and not _is_subsequence(reply.all(PROXY_STATE), request.all(PROXY_STATE)):
        # The blob of a collision attack looks like this; no server makes one up (RFC 2865 §5.33).
        raise UnacceptableReply(ReplyProblem.PROXY_STATE)
    return reply


def _check_signatures(reply: Packet, request: Packet, secret: Secret, required: bool) -> None:
    octets = reply.octets
    expected = response_authenticator(octets[:4], request.authenticator, octets[HEADER:], secret.reveal())
    if not hmac.compare_digest(expected, reply.authenticator):
        raise UnacceptableReply(
            ReplyProblem.RESPONSE_AUTHENTICATOR, "compare the shared secret with the server's"
        )
    if request.code == Code.ACCOUNTING_REQUEST:
        # RFC 3579 §3.3 has none there. Servers that send one differ in what they sign; there is no decision in it.
        return
    match verify_message_authenticator(reply, secret, request.authenticator):
        case False:
            raise UnacceptableReply(ReplyProblem.MESSAGE_AUTHENTICATOR)
        case None if required:
            raise UnacceptableReply(ReplyProblem.MESSAGE_AUTHENTICATOR_MISSING)
        case _:
            pass


def _is_subsequence(found: list[bytes], sent: list[bytes]) -> bool:
    """Nothing that wasn't sent, no more of it, in no other order."""
    rest = iter(sent)
    return all(value in rest for value in found)
