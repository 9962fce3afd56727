"""Who may ask: addresses, secrets, and who has to sign."""

from __future__ import annotations

import json

import pytest

from tests.system.bench import wire
from tests.system.bench.journal import CloudRequest, PrimaryBind
from tests.system.bench.nas import Nas
from tests.system.bench.wire import (
    ACCESS_ACCEPT,
    ACCESS_REJECT,
    CALLING_STATION_ID,
    EAP_MESSAGE,
    NAS_IDENTIFIER,
    NAS_IP_ADDRESS,
    PROXY_STATE,
    codes,
)
from tests.system.bench.world import World
from tests.system.everyday import CENTRE, LATCHING, LAX, SPOOFED, STRANGER, STRICT, Everyday

pytestmark = pytest.mark.system

DISCARDED = "authproxy_radius_discarded_total"


def nas_at(world: Everyday, source: str, **more: object) -> Nas:
    return world.nas(source=source, secret=world.secrets.get(source, world.secret), **more)  # type: ignore[arg-type]


def test_strangers_hear_nothing(everyday: Everyday) -> None:
    """R10: whatever secret they have."""
    user = everyday.user()
    before = everyday.running.metric(DISCARDED, cause="unknown_client")
    for secret in (everyday.secret, *everyday.secrets.values()):
        nas = everyday.nas(source=STRANGER, secret=secret)
        assert nas.silent(nas.login(user.user, user.password), 0.1)
    assert everyday.running.metric(DISCARDED, cause="unknown_client") > before


def test_the_source_address_chooses_the_secret(everyday: Everyday) -> None:
    """R10: not NAS-IP-Address, NAS-Identifier or Proxy-State, which anybody writes."""
    user = everyday.user()
    claims = [
        (NAS_IP_ADDRESS, bytes((127, 0, 5, 2))),
        (NAS_IDENTIFIER, b"branch"),
        (PROXY_STATE, b"127.0.5.2"),
    ]
    spoofing = everyday.nas(source=CENTRE, secret=everyday.secrets[SPOOFED])
    assert spoofing.silent(spoofing.login(user.user, user.password, *claims), 0.3)
    honest = nas_at(everyday, CENTRE)
    assert codes([honest.ask(user.user, user.password, *claims)]) == [ACCESS_ACCEPT]


def test_the_most_specific_network_wins(everyday: Everyday) -> None:
    """R11: 127.0.5.2 within 127.0.5.0/24."""
    user = everyday.user()
    for source in (CENTRE, SPOOFED, "127.0.5.77"):
        secret = everyday.secrets.get(source, everyday.secrets[CENTRE])
        nas = everyday.nas(source=source, secret=secret)
        assert codes([nas.ask(user.user, user.password)]) == [ACCESS_ACCEPT]
    general = everyday.nas(source=SPOOFED, secret=everyday.secrets[CENTRE])
    assert general.silent(general.login(user.user, user.password), 0.3)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.8", "127.0.0.9", "::1"])
def test_the_reply_leaves_from_where_the_request_came_to(everyday: Everyday, address: str) -> None:
    """R11, R12: a socket for every address answers each from its own; the NAS checks it."""
    user = everyday.user()
    source = "::1" if ":" in address else "127.0.0.1"
    nas = everyday.nas(
        everyday.everywhere, address=address, source=source, secret=everyday.secrets.get(source)
    )
    assert codes([nas.ask(user.user, user.password)]) == [ACCESS_ACCEPT]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.8"])
def test_each_interface_answers_for_itself(everyday: Everyday, address: str) -> None:
    """R12"""
    user = everyday.user()
    assert codes([everyday.nas(address=address).ask(user.user, user.password)]) == [ACCESS_ACCEPT]


def test_the_users_address_counts_signed_only(everyday: Everyday) -> None:
    """R22: on the way anyone could have written it; the cloud's network rules must not go by it."""
    station = (wire.CALLING_STATION_ID, b"192.0.2.77")
    for signed in (True, False):
        user = everyday.user()
        nas = everyday.nas(source=LAX, secret=everyday.secrets[LAX])
        request = nas.login(user.user, user.password, station, message_authenticator=signed)
        assert codes([nas.exchange(request)]) == [ACCESS_ACCEPT]
        for endpoint in ("preauth", "auth"):
            (asked,) = everyday.asked(user.user, endpoint)
            assert asked.get("ipaddr") == ("192.0.2.77" if signed else None)


def test_a_wrong_secret_is_not_the_users_fault(everyday: Everyday) -> None:
    """R14: a hundred requests with a typing mistake in the secret; the directory hears of none of them."""
    users = [everyday.user() for _ in range(100)]
    before = len(everyday.journal)
    for source in ("127.0.0.1", LAX):
        nas = everyday.nas(source=source, secret="one letter is wrong herf")
        for user in users[:50] if source == LAX else users[50:]:
            nas.send(nas.login(user.user, user.password, message_authenticator=source != LAX))
    # The answers, if there are any, are signed with the right secret: this NAS can't read them.
    good = everyday.user()
    assert codes([everyday.nas().ask(good.user, good.password)]) == [ACCESS_ACCEPT]
    binds = everyday.journal.all(PrimaryBind, since=before)
    assert {bind.user for bind in binds} <= {good.user, "svc-authproxy"}
    everyday.wait_log("radius.secret_suspected")
    everyday.wait_log("compare the shared secret")


# ---- R19


SIGNED, PROXIED = {"message_authenticator": True}, {"message_authenticator": False, "proxied": True}
UNSIGNED = {"message_authenticator": False}


def ask(nas: Nas, user: str, password: str, *, proxied: bool = False, **more: object) -> int | None:
    """None: nothing for half a second, in which an answer that was on its way would have come."""
    extra = [(PROXY_STATE, b"hop")] if proxied else []
    return codes([nas.ask(user, password, *extra, timeout=0.5, **more)])[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "how", "expected"),
    [
        (STRICT, SIGNED, ACCESS_ACCEPT),
        (STRICT, UNSIGNED, None),
        (STRICT, PROXIED, None),
        (LAX, SIGNED, ACCESS_ACCEPT),
        (LAX, UNSIGNED, ACCESS_ACCEPT),
        (LAX, PROXIED, None),
        (LAX, {**SIGNED, "proxied": True}, ACCESS_ACCEPT),
    ],
)
def test_who_has_to_sign(everyday: Everyday, source: str, how: dict[str, bool], expected: int | None) -> None:
    """R19: yes and no, with and without Proxy-State."""
    user = everyday.user()
    assert ask(nas_at(everyday, source), user.user, user.password, **how) == expected


def test_auto_latches(world: World) -> None:
    """R19: open until the first signature, then never again, over restarts; an EAP packet's doesn't count."""
    world.add_section(
        clients=[
            {"name": "a", "ip": "127.0.0.1", "secret": world.secret},
            {"name": "b", "ip": "127.0.0.2", "secret": world.secret},
        ]
    )
    user, other = world.add_user("alice"), world.add_user("bob")
    world.start()
    nas, second = world.nas(), world.nas(source="127.0.0.2")
    eap = wire.access_request("alice", None, nas.secret, (EAP_MESSAGE, b"\x02\x01\x00\x05\x01"))
    nas.exchange(eap, 2)
    assert ask(nas, user.user, user.password, **UNSIGNED) == ACCESS_ACCEPT
    assert ask(nas, user.user, user.password, **PROXIED) is None
    assert ask(nas, user.user, user.password, **SIGNED) == ACCESS_ACCEPT
    assert ask(nas, user.user, user.password, **UNSIGNED) is None
    # Another client's latch is its own.
    assert ask(second, other.user, other.password, **UNSIGNED) == ACCESS_ACCEPT
    assert world.running.stop() == 0
    world.start()
    # The report lasts, too: `a` has sent both (EAP's aside), `b` has never signed.
    report = {client["client"]: client for client in json.loads(world.running.get("/status").body)["clients"]}
    assert [(report[name]["latched"], report[name]["advice"]) for name in "ab"] == [
        (True, "unsafe"),
        (False, "unsafe"),
    ]
    assert report["a"]["last_at"] < report["b"]["last_at"]
    assert ask(nas, user.user, user.password, **UNSIGNED) is None
    assert ask(nas, user.user, user.password, **SIGNED) == ACCESS_ACCEPT
    report = {client["client"]: client for client in json.loads(world.running.get("/status").body)["clients"]}
    assert (report["a"]["advice"], report["b"]["signed_since"]) == ("wait", None)
    assert world.running.metric("authproxy_radius_client_latched", client="a") == 1
    requests = "authproxy_radius_client_requests_total"
    assert world.running.metric(requests, client="a", message_authenticator="no") == 1
    assert world.running.metric(requests, client="a", message_authenticator="yes") == 1
    assert ask(second, other.user, other.password, **UNSIGNED) == ACCESS_ACCEPT
    world.wait_log("radius.message_authenticator_latched")


def test_the_latch_outlives_a_crash(world: World) -> None:
    """R19: it is on the disk before the answer leaves."""
    world.add_section()
    user = world.add_user("alice")
    world.start()
    assert ask(world.nas(), user.user, user.password, **SIGNED) == ACCESS_ACCEPT
    world.wait_audit(reason="both_factors")
    world.running.kill()
    world.start()
    assert ask(world.nas(), user.user, user.password, **UNSIGNED) is None


def test_a_latched_client_of_the_everyday_world(everyday: Everyday) -> None:
    """R19, with the daemon that runs all the time: the first unsigned request passes, the last doesn't."""
    user = everyday.user()
    nas = nas_at(everyday, LATCHING)
    answers = [ask(nas, user.user, user.password, **how) for how in (UNSIGNED, SIGNED, UNSIGNED)]
    assert answers == [ACCESS_ACCEPT, ACCESS_ACCEPT, None]


def test_an_address_that_anybody_may_have_written(everyday: Everyday) -> None:
    """R22: whoever is on the way makes Calling-Station-Id one of a trusted network; unsigned, it isn't passed on.

    Signed, the same change is found out.
    """
    user = everyday.user()
    nas = nas_at(everyday, LAX)
    station = (CALLING_STATION_ID, b"192.0.2.33")
    for signed, told in ((False, []), (True, ["192.0.2.33", "192.0.2.33"])):
        before = len(everyday.journal)
        reply = nas.ask(user.user, user.password, station, message_authenticator=signed)
        assert codes([reply]) == [ACCESS_ACCEPT]
        asked = everyday.journal.all(CloudRequest, lambda request: request.user == user.user, since=before)
        assert [request.params["ipaddr"] for request in asked if "ipaddr" in request.params] == told
    changed = nas.login(user.user, user.password, station).octets.replace(b"192.0.2.33", b"10.11.12.1")
    assert nas.silent(changed, 0.3)


def test_a_reject_of_who_is_not_signed_is_signed(everyday: Everyday) -> None:
    """R18: our half of CVE-2024-3596, also towards a client that sends no Message-Authenticator."""
    user = everyday.user()
    nas = nas_at(everyday, LAX)
    wrong = everyday.canaries.new("wrong password")
    reply = nas.ask(user.user, wrong, message_authenticator=False)
    assert reply is not None
    assert reply.code == ACCESS_REJECT
    assert reply.octets[20] == 0x50
