"""R33: whose factor is asked for behind an Accept to EAP, where the name outside is anybody's to choose."""

from __future__ import annotations

from typing import Any

import pytest

from authproxy.backends.radius.settings import RadiusClientSettings
from authproxy.backends.radius.whose import ANOTHER_NAME, OuterName, Whose, names_another, whose
from authproxy.config.model.radius_client import EapOuterName
from authproxy.pipeline.ports import PrimaryUnavailable, Refused
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.username import may_stand_for, read_username
from authproxy.protocols.radius.packet import Attribute, Code, Packet
from authproxy.protocols.radius.password import CredentialKind
from tests.protocols.eap.peer import packet as eap_packet
from tests.protocols.eap.test_outside import response

from .fakes import SECRET, Reactor, login

TLS, TTLS, PEAP, MD5, GTC, MSCHAP = 13, 21, 25, 4, 6, 26
EVERY = pytest.mark.parametrize("method", [TLS, TTLS, PEAP, MD5, GTC, MSCHAP])
RULES = pytest.mark.parametrize("rule", list(OuterName))
REFUSE, ASK, TRUST = OuterName.REFUSE, OuterName.ASK, OuterName.TRUST
TUNNELS = pytest.mark.parametrize("method", [TLS, TTLS, PEAP, 43, 55])


def asked(method: int, outside: bytes, data: bytes = b"\0") -> AuthRequest:
    message = Attribute(79, eap_packet(1, method, data))
    name = Attribute(1, outside)
    packet = Packet.of(Code.ACCESS_REQUEST, 1, bytes(16), (name, message), b"")
    request = login(Reactor(), kind=CredentialKind.EAP, packet=packet)
    changes: dict[str, Any] = {"username": read_username(outside)}
    return AuthRequest(**{field: getattr(request, field) for field in AuthRequest.__slots__} | changes)


def accept(*names: bytes) -> Packet:
    return Packet.of(Code.ACCESS_ACCEPT, 1, bytes(16), tuple(Attribute(1, name) for name in names), b"")


@TUNNELS
@pytest.mark.parametrize("said", [(), (b"eve",), (b"Eve@corp.example",)])
def test_a_name_outside_proves_nothing(method: int, said: tuple[bytes, ...]) -> None:
    """Of eve, who knows alice's password: the server lets alice in, and repeats the name that it was asked with."""
    request, reply = asked(method, b"eve"), accept(*said)
    with pytest.raises(PrimaryUnavailable, match="eap_outer_name"):
        whose(request, reply, REFUSE)
    user = whose(request, reply, ASK)
    assert isinstance(user, Whose)
    assert not user.proven
    assert may_stand_for("eve", user.name)


@TUNNELS
@RULES
def test_the_server_says_that_it_is_somebody_else(method: int, rule: OuterName) -> None:
    assert whose(asked(method, b"eve"), accept(b"alice"), rule) == ANOTHER_NAME


@TUNNELS
@RULES
@pytest.mark.parametrize("outside", [b"anonymous", b"@corp.example"])
def test_a_name_that_was_not_asked_with_is_the_servers_own(
    method: int, rule: OuterName, outside: bytes
) -> None:
    assert whose(asked(method, outside), accept(b"Alice\0"), rule) == Whose("alice")


@EVERY
@RULES
@pytest.mark.parametrize("said", [(), (b"anonymous",), (b"@corp.example",)])
def test_anonymous_is_nobody(method: int, rule: OuterName, said: tuple[bytes, ...]) -> None:
    """Nor is it a user whom the cloud might let in for not knowing them."""
    with pytest.raises(PrimaryUnavailable):
        whose(asked(method, b"anonymous"), accept(*said), rule)


@TUNNELS
def test_a_server_that_sees_to_names(method: int) -> None:
    assert whose(asked(method, b"alice"), accept(), TRUST) == Whose("alice")
    assert whose(asked(method, b"alice"), accept(b"alice"), TRUST) == Whose("alice")
    assert whose(asked(method, b"alice"), accept(b"CORP\\alice"), TRUST) == Whose("corp\\alice")


@pytest.mark.parametrize("names", [(b"alice", b"alice"), (b"\xff",), (b"al\0ice",), (b"",)])
def test_names_that_can_not_be_read(names: tuple[bytes, ...]) -> None:
    with pytest.raises(PrimaryUnavailable):
        whose(asked(PEAP, b"anonymous"), accept(*names), TRUST)


@pytest.mark.parametrize("method", [MD5, GTC, MSCHAP])
def test_without_a_tunnel_there_is_one_name(method: int) -> None:
    assert whose(asked(method, b"Alice"), accept(), REFUSE) == Whose("alice")
    assert whose(asked(method, b"Alice"), accept(b"alice"), REFUSE) == Whose("alice")
    assert whose(asked(method, b"eve"), accept(b"alice"), REFUSE) == ANOTHER_NAME


def test_a_name_in_the_proof() -> None:
    """MS-CHAPv2 has one, and servers differ in whether they compare it."""
    for inside, another in ((b"alice", True), (b"", True), (b"eve", False), (b"CORP\\Eve", False)):
        request = asked(MSCHAP, b"eve", response(inside))
        assert names_another(request, eap_packet(1, MSCHAP, response(inside))) is another


def test_other_credentials_have_one_name() -> None:
    """Whatever a server calls its user in an Accept to a password."""
    request = login(Reactor())
    assert whose(request, accept(b"somebody"), REFUSE) == Whose("alice")


def test_a_factor_is_asked_for_unless_told() -> None:
    assert RadiusClientSettings((), SECRET).eap_outer_name is ASK
    assert [rule.value for rule in OuterName] == [rule.value for rule in EapOuterName]
    assert isinstance(ANOTHER_NAME, Refused)
