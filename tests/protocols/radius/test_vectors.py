"""The examples of RFC 2865 §7 and RFC 5997 §6, octet for octet."""

from __future__ import annotations

import pytest

from authproxy.protocols.radius.message_authenticator import verify_message_authenticator
from authproxy.protocols.radius.packet import Attribute, Code, decode
from authproxy.protocols.radius.password import (
    CredentialKind,
    credential_kind,
    decrypt_password,
    encrypt_password,
)
from authproxy.protocols.radius.reply import encode_reply
from authproxy.protocols.radius.request import read_reply, status_server
from authproxy.secret import Secret

XYZZY = Secret(b"xyzzy5461")

# RFC 2865 §7.1: nemo, password "arctangent", to port 3 of 192.168.1.16.
TELNET = bytes.fromhex(
    """01 00 00 38 0f 40 3f 94 73 97 80 57 bd 83 d5 cb
    98 f4 22 7a 01 06 6e 65 6d 6f 02 12 0d be 70 8d
    93 d4 13 ce 31 96 e4 3f 78 2a 0a ee 04 06 c0 a8
    01 10 05 06 00 00 00 03"""
)
TELNET_ACCEPT = bytes.fromhex(
    """02 00 00 26 86 fe 22 0e 76 24 ba 2a 10 05 f6 bf
    9b 55 e0 b2 06 06 00 00 00 01 0f 06 00 00 00 00
    0e 06 c0 a8 01 03"""
)
# RFC 2865 §7.2: flopsy, by CHAP.
CHAP = bytes.fromhex(
    """01 01 00 47 2a ee 86 f0 8d 0d 55 96 9c a5 97 8e
    0d 33 67 a2 01 08 66 6c 6f 70 73 79 03 13 16 e9
    75 57 c3 16 18 58 95 f2 93 ff 63 44 07 72 75 04
    06 c0 a8 01 10 05 06 00 00 00 14 06 06 00 00 00
    02 07 06 00 00 00 01"""
)
# RFC 5997 §6.1.
STATUS = bytes.fromhex(
    """0c da 00 26 8a 54 f4 68 6f b3 94 c5 28 66 e3 02
    18 5d 06 23 50 12 5a 66 5e 2e 1e 84 11 f3 e2 43
    82 20 97 c8 4f a3"""
)


def test_a_pap_request() -> None:
    packet = decode(TELNET)
    assert (packet.code, packet.identifier) == (Code.ACCESS_REQUEST, 0)
    assert packet.first(1) == b"nemo"
    assert packet.first(4) == bytes((192, 168, 1, 16))
    assert packet.first(5) == b"\0\0\0\3"
    assert credential_kind(packet) is CredentialKind.PAP
    assert verify_message_authenticator(packet, XYZZY) is None


def test_its_password_both_ways() -> None:
    packet = decode(TELNET)
    sent = packet.first(2)
    assert sent is not None
    password = decrypt_password(sent, XYZZY, packet.authenticator)
    assert password.reveal() == b"arctangent"
    assert encrypt_password(password, XYZZY, packet.authenticator) == sent


def test_its_accept() -> None:
    attributes = [Attribute(6, b"\0\0\0\1"), Attribute(15, bytes(4)), Attribute(14, bytes((192, 168, 1, 3)))]
    reply = encode_reply(2, decode(TELNET), XYZZY, attributes, message_authenticator=False)
    assert reply == TELNET_ACCEPT
    read = read_reply(TELNET_ACCEPT, decode(TELNET), XYZZY, require_message_authenticator=False)
    assert read.attributes == tuple(attributes)


def test_a_chap_request() -> None:
    packet = decode(CHAP)
    assert packet.first(1) == b"flopsy"
    assert credential_kind(packet) is CredentialKind.CHAP


@pytest.mark.parametrize("secret", [XYZZY, Secret(b"another")])
def test_status_server(secret: Secret) -> None:
    packet = decode(STATUS)
    assert verify_message_authenticator(packet, secret) is (secret is XYZZY)


def test_status_server_made_here() -> None:
    read = decode(STATUS)
    made = status_server(identifier=read.identifier, authenticator=read.authenticator, secret=XYZZY)
    assert made == read
