"""pyrad at the other end: it reads what we write, and we read what it writes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyrad import packet as pyrad_packet
from pyrad.dictionary import Dictionary

from authproxy.protocols.radius.message_authenticator import verify_message_authenticator
from authproxy.protocols.radius.packet import Attribute, decode
from authproxy.protocols.radius.password import CredentialKind, credential_kind, decrypt_password
from authproxy.protocols.radius.reply import encode_reply
from authproxy.protocols.radius.request import UnacceptableReply, pap_request, read_reply, status_server
from authproxy.protocols.radius.salted import Hop, decrypt_salted, encrypt_salted
from authproxy.secret import Secret

from .octets import AUTHENTICATOR, SECRET

KEY = SECRET.reveal()


@pytest.fixture(scope="module", name="dictionary")
def _dictionary(tmp_path_factory: pytest.TempPathFactory) -> Dictionary:
    path = tmp_path_factory.mktemp("pyrad") / "dictionary"
    path.write_text(
        "ATTRIBUTE User-Name 1 string\nATTRIBUTE User-Password 2 octets\nATTRIBUTE NAS-IP-Address 4 ipaddr\n"
        "ATTRIBUTE Reply-Message 18 string\nATTRIBUTE State 24 octets\nATTRIBUTE Class 25 octets\n"
        "ATTRIBUTE Proxy-State 33 octets\nATTRIBUTE Tunnel-Password 69 octets has_tag,encrypt=2\n"
        "ATTRIBUTE Message-Authenticator 80 octets\n"
        "VENDOR Microsoft 311\nBEGIN-VENDOR Microsoft\nATTRIBUTE MS-MPPE-Recv-Key 17 octets encrypt=2\n"
        "END-VENDOR Microsoft\n"
    )
    return Dictionary(str(path))


def their_request(dictionary: Dictionary, password: bytes, *, message_authenticator: bool = True) -> Any:
    request = pyrad_packet.AuthPacket(
        code=1, secret=KEY, dict=dictionary, message_authenticator=message_authenticator, User_Name="nemo"
    )
    request.authenticator = request.CreateAuthenticator()
    request["User-Password"] = request.PwCrypt(password)
    request["NAS-IP-Address"] = "192.168.1.16"
    request.AddAttribute("Proxy-State", b"first")
    request.AddAttribute("Proxy-State", b"second")
    return request


@pytest.mark.parametrize("message_authenticator", [True, False])
@pytest.mark.parametrize("password", [b"arctangent", b"p\xe4ssword", b"x" * 100])
def test_their_request_is_read(dictionary: Dictionary, message_authenticator: bool, password: bytes) -> None:
    request = their_request(dictionary, password, message_authenticator=message_authenticator)
    packet = decode(request.RequestPacket())
    assert packet.first(1) == b"nemo"
    assert packet.all(33) == [b"first", b"second"]
    assert credential_kind(packet) is CredentialKind.PAP
    hidden = packet.first(2)
    assert hidden is not None
    assert decrypt_password(hidden, SECRET, packet.authenticator).reveal() == password
    assert verify_message_authenticator(packet, SECRET) is (True if message_authenticator else None)
    if message_authenticator:
        assert verify_message_authenticator(packet, Secret(b"other")) is False


@pytest.mark.parametrize("code", [2, 3, 11])
def test_our_reply_is_verified(dictionary: Dictionary, code: int) -> None:
    request = their_request(dictionary, b"arctangent")
    packet = decode(request.RequestPacket())
    octets = encode_reply(code, packet, SECRET, [Attribute(18, b"hello"), Attribute(24, b"state")])
    reply = request.CreateReply(packet=octets)
    assert request.VerifyReply(reply, octets, enforce_ma=True)
    assert reply["Reply-Message"] == ["hello"]
    tampered = octets[:-1] + bytes([octets[-1] ^ 1])
    assert not request.VerifyReply(request.CreateReply(packet=tampered), tampered, enforce_ma=True)


def test_our_request_is_read(dictionary: Dictionary) -> None:
    made = pap_request(
        b"nemo", Secret(b"arctangent"), identifier=7, authenticator=AUTHENTICATOR, secret=SECRET
    )
    theirs = pyrad_packet.AuthPacket(packet=made.octets, secret=KEY, dict=dictionary)
    assert theirs["User-Name"] == ["nemo"]
    assert theirs.PwDecrypt(theirs["User-Password"][0]) == "arctangent"
    assert theirs.verify_message_authenticator()


def test_our_status_server_is_read(dictionary: Dictionary) -> None:
    made = status_server(identifier=7, authenticator=AUTHENTICATOR, secret=SECRET)
    assert pyrad_packet.AuthPacket(
        packet=made.octets, secret=KEY, dict=dictionary
    ).verify_message_authenticator()


@pytest.mark.parametrize("code", [2, 3, 11])
def test_their_reply_is_verified(dictionary: Dictionary, code: int) -> None:
    made = pap_request(
        b"nemo", Secret(b"arctangent"), identifier=7, authenticator=AUTHENTICATOR, secret=SECRET
    )
    request = pyrad_packet.AuthPacket(packet=made.octets, secret=KEY, dict=dictionary)
    reply = request.CreateReply()
    reply.code = code
    reply["Reply-Message"] = "hello"
    reply.add_message_authenticator()
    octets = reply.ReplyPacket()
    read = read_reply(octets, made, SECRET)
    assert (read.code, read.all(18)) == (code, [b"hello"])
    with pytest.raises(UnacceptableReply):
        read_reply(octets, made, Secret(b"other"))


@settings(max_examples=30)
@given(st.binary(min_size=1, max_size=60))
def test_salted_values_both_ways(dictionary: Dictionary, value: bytes) -> None:
    request = pyrad_packet.AuthPacket(code=1, id=7, secret=KEY, authenticator=AUTHENTICATOR, dict=dictionary)
    hop = Hop(SECRET, AUTHENTICATOR)
    assert decrypt_salted(request.SaltCrypt(value), hop).reveal() == value
    assert request.SaltDecrypt(encrypt_salted(Secret(value), b"\x9a\x3b", hop)) == value
