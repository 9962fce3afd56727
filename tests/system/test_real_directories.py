"""Accept, Reject and Accept by fail open, for radclient, against a real slapd and a real Samba domain controller."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest

from tests.system.bench.oracles import Section
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, CALLING_STATION_ID, codes
from tests.system.bench.world import World
from tests.system.parts import samba as ad
from tests.system.parts import slapd as openldap
from tests.system.parts.clients import radclient
from tests.system.parts.embedded_cloud import EmbeddedCloud
from tests.system.parts.samba import Samba
from tests.system.parts.slapd import Slapd

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with Slapd(tmp_path_factory.mktemp("slapd"), users=10_000) as running:
        yield running


@pytest.fixture(scope="module")
def samba(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Samba]:
    # Signing is demanded in clear; inside TLS this Samba knows no channel binding to demand instead.
    with Samba(tmp_path_factory.mktemp("samba"), strong_auth="allow_sasl_over_tls") as running:
        yield running


SLAPD_USERS = ("alice", "bob", "carol", *openldap.POLICY_USERS)


def at_slapd(world: World, slapd: Slapd, transport: str) -> None:
    users = {user: openldap.password_of(user) for user in SLAPD_USERS}
    users |= {f"u{number:05}": openldap.MANY_PASSWORD for number in range(50)}
    world.use_real_directory(
        users,
        host="127.0.0.1",
        port=slapd.ldaps_port if transport == "ldaps" else slapd.port,
        transport=transport,
        ssl_ca_certs_file=str(slapd.ca_file),
        auth_type="plain",
        bind_dn=openldap.SERVICE,
        service_account_password=openldap.SERVICE_PASSWORD,
        search_dn=openldap.SUFFIX,
        username_attribute="uid",
        at_attribute="mail",
        security_group_dn=f"cn=staff,{openldap.GROUPS}" if transport == "starttls" else None,
    )
    if world.config["ad_client"]["security_group_dn"] is None:
        del world.config["ad_client"]["security_group_dn"]


AD_WAYS: dict[str, dict[str, Any]] = {
    "the four lines": {"transport": "clear", "auth_type": "ntlm2", "service_account_username": ad.SERVICE},
    "ntlm2 over ldaps": {"transport": "ldaps", "auth_type": "ntlm2", "service_account_username": ad.SERVICE},
    "plain over ldaps": {"transport": "ldaps", "auth_type": "plain", "bind_dn": ad.SERVICE_DN},
}


def at_samba(world: World, samba: Samba, way: str) -> None:
    options = dict(AD_WAYS[way])
    if options["transport"] != "clear":
        options |= {"ssl_ca_certs_file": str(samba.ca_file)}
    world.use_real_directory(
        {user: ad.password_of(user) for user in ad.USERS},
        host=samba.address,
        service_account_password=ad.SERVICE_PASSWORD,
        search_dn=ad.BASE,
        **options,
    )


def at_embedded_cloud(world: World, cloud: EmbeddedCloud, *sections: Section) -> None:
    """An application of its own at the embedded service for each of these sections."""
    for section in sections:
        made = cloud.command("application", "add", section.name)
        world.options(section).update(
            ikey=made["ikey"],
            skey=world.canaries.keep(f"the secret key of {section.name}", made["skey"]),
            api_port=cloud.port,
            api_ca_certs_file=str(cloud.ca_file),
        )


@pytest.mark.long
@pytest.mark.parametrize("directory", ["slapd", "samba"])
def test_with_the_embedded_cloud(
    world: World, tmp_path: Path, directory: str, request: pytest.FixtureRequest
) -> None:
    """Nothing scripted: radclient, a real directory, our own cloud with somebody at the phone page."""
    safe, secure = two_sections(world)
    if directory == "slapd":
        at_slapd(world, request.getfixturevalue("slapd"), "ldaps")
        password = openldap.password_of("alice")
    else:
        at_samba(world, request.getfixturevalue("samba"), "the four lines")
        password = ad.password_of("alice")
    with EmbeddedCloud(tmp_path / "cloud") as cloud:
        at_embedded_cloud(world, cloud, safe, secure)
        phone = cloud.enrolled("alice")
        secret = cloud.command("device", "add-token", "alice")["secret"]
        world.start()

        def ask(section: Section, typed: str) -> str:
            return radclient("127.0.0.1", section.port, world.secret, "alice", typed).reply

        with phone.answering("approve"):
            assert ask(secure, password) == "Access-Accept"
        with phone.answering("deny"):
            assert ask(safe, password) == "Access-Reject"
        assert ask(secure, world.canaries.new("a wrong password")) == "Access-Reject"
        passcode = pyotp.TOTP(secret).now()
        assert ask(secure, f"{password},{passcode}") == "Access-Accept"
        assert ask(safe, f"{password},{passcode}") == "Access-Reject"  # good once
        cloud.stop()
        assert ask(safe, f"{password},push") == "Access-Accept"
        assert ask(secure, f"{password},push") == "Access-Reject"
    reasons = [event["reason"] for event in world.audit(user="alice") if event["decision"]]
    assert reasons == [
        "both_factors",
        "factor_denied",
        "primary_rejected",
        "both_factors",
        "factor_denied",
        "fail_open",
        "fail_closed",
    ]


def three_answers(world: World, safe: Section, secure: Section, password: str) -> None:
    """What has to be seen: Accept, Reject, and Accept by fail open (and Reject by its opposite)."""
    doors = [world.tap(section).port for section in (safe, secure)]

    def ask(door: int, typed: str) -> str:
        return radclient("127.0.0.1", door, world.secret, "alice", typed).reply

    assert ask(doors[1], password) == "Access-Accept"
    assert ask(doors[1], world.canaries.new("a wrong password")) == "Access-Reject"
    world.cloud.users["alice"].answer = "deny"
    assert ask(doors[0], password) == "Access-Reject"
    world.cloud.users["alice"].answer = "allow"
    world.cloud.become("refused")
    assert ask(doors[0], f"{password},phone") == "Access-Accept"
    assert ask(doors[1], password) == "Access-Reject"
    world.cloud.become("well")
    assert len(world.wait_audit(reason="fail_open", username="alice")) == 1


def two_sections(world: World) -> tuple[Section, Section]:
    timing = {"api_timeout": 2, "denial_memory": 0}
    return world.add_section("safe", failmode="safe", **timing), world.add_section("secure", **timing)


@pytest.mark.parametrize("transport", ["ldaps", "starttls"])
def test_slapd(world: World, slapd: Slapd, transport: str) -> None:
    """Among 10,000 users, over verified TLS; with StartTLS also through a nested group."""
    safe, secure = two_sections(world)
    at_slapd(world, slapd, transport)
    world.start()
    three_answers(world, safe, secure, openldap.password_of("alice"))
    nas = world.nas(secure)
    if transport == "ldaps":
        many = [nas.login(f"u{number:05}", openldap.MANY_PASSWORD) for number in range(50)]
        assert codes(nas.exchange_all(many)) == [ACCESS_ACCEPT] * 50
        byname = [nas.login(name, openldap.password_of("bob")) for name in ("BOB", "bob@example.test")]
        assert codes(nas.exchange_all(byname)) == [ACCESS_ACCEPT] * 2
    refused = ["locked", "expired"]
    requests = [nas.login(user, openldap.password_of(user)) for user in refused]
    assert codes(nas.exchange_all(requests)) == [ACCESS_REJECT] * 2
    must_change = nas.ask("mustchange", openldap.password_of("mustchange"))
    assert codes([must_change]) == [ACCESS_REJECT]


def test_slapd_with_another_authority(world: World, slapd: Slapd) -> None:
    """T1: an unknown CA is nobody's directory, and its password is sent to nobody."""
    two_sections(world)
    at_slapd(world, slapd, "ldaps")
    world.config["ad_client"]["ssl_ca_certs_file"] = str(world.authority.ca)
    world.start()
    before = slapd.log.count(" BIND ")
    assert codes([world.nas().ask("alice", openldap.password_of("alice"))]) == [ACCESS_REJECT]
    (event,) = world.wait_audit(username="alice", decision="reject")
    assert event["reason"] == "primary_unavailable"
    assert slapd.log.count(" BIND ") == before


@pytest.mark.long
@pytest.mark.parametrize("way", AD_WAYS)
def test_samba(world: World, samba: Samba, way: str) -> None:
    """A domain that demands signing: NTLMv2 signed and sealed on a clear connection, channel-bound under TLS, plain."""
    safe, secure = two_sections(world)
    at_samba(world, samba, way)
    world.start()
    three_answers(world, safe, secure, ad.password_of("alice"))
    nas = world.nas(secure)
    names = ["ALICE", "alice@ad.test", "AD\\alice"]
    requests = [nas.login(name, ad.password_of("alice")) for name in names]
    assert codes(nas.exchange_all(requests)) == [ACCESS_ACCEPT] * 3
    causes = {
        "expired": "expired",
        "disabled": "disabled",
        "accexpired": "account_expired",
        "mustchange": "must_change",
        "locked": "locked",
    }
    refused = [nas.login(user, ad.password_of(user)) for user in causes]
    assert codes(nas.exchange_all(refused)) == [ACCESS_REJECT] * len(causes)
    for user, cause in causes.items():
        (event,) = world.wait_audit(username=user, decision="reject")
        assert (event["reason"], event["cause"]) == ("primary_rejected", cause)


@pytest.mark.long
def test_a_wrong_password_counts_once(world: World, samba: Samba) -> None:
    """R27, A5: at a real domain controller, whose lock-out counter moves with each."""
    two_sections(world)
    at_samba(world, samba, "plain over ldaps")
    world.start()
    nas = world.nas()
    assert codes([nas.ask("carol", ad.password_of("carol"))]) == [ACCESS_ACCEPT]
    assert samba.attribute("carol", "badPwdCount") in {"", "0"}
    assert codes([nas.ask("carol", "wrong words,push")]) == [ACCESS_REJECT]
    assert samba.attribute("carol", "badPwdCount") == "1"
    assert codes([nas.ask("carol", ad.password_of("carol"))]) == [ACCESS_ACCEPT]


def test_an_outage_of_a_real_directory(world: World, tmp_path: Path) -> None:
    """slapd goes and comes; paused, it accepts connections and answers nothing."""
    with Slapd(tmp_path / "slapd") as slapd:
        two_sections(world)
        at_slapd(world, slapd, "ldaps")
        world.config["ad_client"]["timeout"] = 1
        world.start()
        nas = world.nas()
        assert codes([nas.ask("alice", openldap.password_of("alice"))]) == [ACCESS_ACCEPT]
        assert slapd.process is not None
        slapd.process.pause()
        assert codes([nas.ask("alice", openldap.password_of("alice"))]) == [ACCESS_REJECT]
        slapd.process.resume()
        slapd.stop()
        assert codes([nas.ask("bob", openldap.password_of("bob"))]) == [ACCESS_REJECT]
        slapd.start()
        for _ in range(20):
            if codes([nas.ask("carol", openldap.password_of("carol"))]) == [ACCESS_ACCEPT]:
                break
        else:
            pytest.fail("it never came back")


@pytest.mark.parametrize("directory", ["slapd", pytest.param("samba", marks=pytest.mark.long)])
def test_groups_that_no_outage_lets_in(world: World, directory: str, request: pytest.FixtureRequest) -> None:
    """F7: alice is in staff through a group in it, carol is in staff and not in vpn; a group that is not: nobody."""
    if directory == "slapd":
        at_slapd(world, request.getfixturevalue("slapd"), "ldaps")
        password_of, groups = openldap.password_of, openldap.GROUPS
    else:
        at_samba(world, request.getfixturevalue("samba"), "plain over ldaps")
        password_of, groups = ad.password_of, f"CN=Users,{ad.BASE}"
    timing = {"failmode": "safe", "api_timeout": 2}
    not_staff, not_vpn, typo = (
        world.add_section(f"not {group}", fail_open_never_groups=[f"cn={group},{groups}"], **timing)
        for group in ("staff", "vpn", "nobody knows it")
    )
    world.start()
    world.cloud.become("refused")

    def door(section: Section, user: str) -> tuple[int | None, str | None]:
        (code,) = codes([world.nas(section).ask(user, password_of(user))])
        decision = "accept" if code == ACCESS_ACCEPT else "reject"
        (event,) = world.wait_audit(username=user, server_section=section.name, decision=decision)
        return code, event["why"]

    assert door(not_staff, "alice") == (ACCESS_REJECT, "never_group")
    assert door(not_staff, "carol") == (ACCESS_REJECT, "never_group")
    assert door(not_vpn, "carol") == (ACCESS_ACCEPT, None)
    assert door(typo, "bob") == (ACCESS_REJECT, "groups_unknown")


@pytest.mark.long
def test_guessing_locks_nobody(world: World, samba: Samba) -> None:
    """A10: this domain locks an account at the third wrong password; failures_per_user is below it."""
    world.add_section("vpn", reject_delay=0)
    at_samba(world, samba, "plain over ldaps")
    world.config["ad_client"]["failures_per_user"] = 2
    world.start()
    nas = world.nas()
    home = (CALLING_STATION_ID, b"192.0.2.1")
    assert codes([nas.ask("bob", ad.password_of("bob"), home)]) == [ACCESS_ACCEPT]
    guesses = [nas.login(name, f"guess {number}") for number in range(5) for name in ("bob", "AD\\bob")]
    assert codes(nas.exchange_all(guesses)) == [ACCESS_REJECT] * 10
    assert samba.attribute("bob", "badPwdCount") == "1"
    assert codes([nas.ask("bob", ad.password_of("bob"), home)]) == [ACCESS_ACCEPT]
