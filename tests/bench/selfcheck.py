"""The tools judge each other before they judge a server: a generator that overlooks forgeries proves nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass

import duo_client  # type: ignore[import-untyped]

from tests.bench.process import AROUND_IT, Process, run, wait_for
from tests.bench.rig import IKEY, SKEY, Cloud, Rig, free_port, listens, takes_datagrams
from tests.bench.tools import SECRET, Direct, LdapLoad, direct, ldapload, tool


class NotFit(Exception):
    """A tool did not see what was put before it."""


@dataclass(frozen=True, slots=True)
class Speeds:
    """What the tools can do against each other: servers under test have to stay well below."""

    radius_per_second: float
    generator_us: float
    direct_per_second: float


def check(rig: Rig) -> Speeds:
    """Raises NotFit."""
    radius = _radius(rig)
    _ldap(rig)
    direct_per_second = _directory_and_cloud(rig)
    _signatures(rig.cloud)
    return Speeds(radius["per_second"], radius["generator_us"], direct_per_second)


def _expect(what: str, expected: object, seen: object) -> None:
    if expected != seen:
        raise NotFit(f"{what}: {seen}, not {expected}")


# ---- radload against radsink


def _radius(rig: Rig) -> Mapping[str, float]:
    honest = _exchange(rig, (), "-n", 20_000, "-w", 64)
    _expect("answers of an honest server", 20_000, honest["accepted"])
    mixed = _exchange(rig, (), "-n", 1000, "-x", 10, "-y", 10)
    _expect("refusals due and given", (200, 0), (mixed["rejected"], mixed["let_in"] + mixed["kept_out"]))
    gullible = _exchange(rig, ("-a", 1), "-n", 1000, "-x", 10)
    _expect("wrong Accepts noticed", 100, gullible["let_in"])
    forged = _exchange(rig, ("-f", 10), "-n", 1000, "-t", 1000)
    _expect("forged answers noticed, and not believed", (100, 100), (forged["forged"], forged["lost"]))
    lossy = _exchange(rig, ("-l", 10), "-n", 1000, "-t", 2000, "-i", 100)
    _expect("lost answers asked for again", (0, True), (lossy["lost"], lossy["retransmitted"] >= 100))
    slow = _exchange(rig, ("-D", 300), "-n", 100, "-w", 100, "-t", 200)
    _expect("answers too late", (100, 0), (slow["lost"], slow["accepted"]))
    renewed = _exchange(rig, ("-D", 450), "-n", 100, "-w", 100, "-t", 5000, "-i", 200, "-N")
    seen = (renewed["accepted"], renewed["forged"], renewed["retransmitted"] >= 200)
    _expect("requests made anew", (100, 0, True), seen)
    stranger = _exchange(rig, ("-s", "another secret"), "-n", 50, "-t", 300)
    _expect("answers under another secret", (50, 0), (stranger["lost"], stranger["accepted"]))
    return honest


def _exchange(rig: Rig, sink_options: tuple[object, ...], *options: object) -> Mapping[str, float]:
    port = free_port(socket.SOCK_DGRAM)
    command = [tool("radsink"), "-p", port, "-s", SECRET, *sink_options]
    with Process(command, cpu=AROUND_IT, output=rig.folder / "radsink.log") as sink:
        wait_for("radsink", lambda: takes_datagrams(port), sink)
        seen: Mapping[str, float] = json.loads(run([tool("radload"), "-p", port, "-s", SECRET, *options]))
        return seen


# ---- ldapload against ldapsink


def _ldap(rig: Rig) -> None:
    for what, options in (("sessions", ("-s",)), ("searches", ())):
        seen = _ldap_exchange(rig, (), "-d", 0.2, *options)
        _expect(f"{what} at an honest directory", (True, 0), (seen.done > 100, seen.wrong + seen.ended_early))
        lied_to = _ldap_exchange(rig, ("-l", 10), "-d", 0.2, *options)
        _expect(f"somebody else's entries noticed in {what}", True, lied_to.wrong > 10)
    refused = _ldap_exchange(rig, (), "-d", 0.2, "-s", "-w")
    _expect("wrong passwords refused", (True, 0), (refused.done > 100, refused.wrong))
    gullible = _ldap_exchange(rig, ("-a",), "-d", 0.2, "-s", "-w")
    _expect("wrong passwords taken", (0, True), (gullible.done, gullible.wrong > 10))


def _ldap_exchange(rig: Rig, sink_options: tuple[object, ...], *options: object) -> LdapLoad:
    port = free_port()
    command = [tool("ldapsink"), "-p", port, *sink_options]
    with Process(command, cpu=AROUND_IT, output=rig.folder / "ldapsink-judged.log") as sink:
        wait_for("ldapsink", lambda: listens(port), sink)
        return ldapload(port, *options)


# ---- direct against the directories and the cloud


def _directory_and_cloud(rig: Rig) -> float:
    fast = _direct(rig, rig.ldap_sink, "-n", 2000, "-k", 4)
    _expect("direct logins", 2000, fast.accepted)
    _expect("direct logins at slapd", 200, _direct(rig, rig.slapd, "-n", 200).accepted)
    for name, port in (("ldapsink", rig.ldap_sink), ("slapd", rig.slapd)):
        _expect(f"wrong passwords refused by {name}", 100, _direct(rig, port, "-n", 100, "-w").refused_binds)
    before = rig.cloud.counters()
    _expect(
        "calls under a wrong key refused", 100, _direct(rig, rig.ldap_sink, "-n", 100, "-W").refused_calls
    )
    after = rig.cloud.counters()
    _expect("wrong signatures counted", 100, after["signature_wrong"] - before["signature_wrong"])
    _expect("passcodes accepted", 100, _direct(rig, rig.ldap_sink, "-n", 100, "-P").accepted)
    rig.cloud.delay(0.2)
    held = _direct(rig, rig.ldap_sink, "-n", 20, "-k", 20)
    rig.cloud.delay(0)
    _expect("answers held back", (20, True), (held.accepted, held.p50_ms >= 199))
    return fast.per_second


def _direct(rig: Rig, ldap_port: int, *options: object) -> Direct:
    return direct(ldap_port, rig.cloud.port, rig.cloud.ca, *options)


# ---- the cloud against somebody else's client


def _signatures(cloud: Cloud) -> None:
    def client(skey: str) -> duo_client.Auth:
        return duo_client.Auth(
            ikey=IKEY, skey=skey, host="localhost", port=cloud.port, ca_certs=str(cloud.ca)
        )

    service = client(SKEY)
    service.check()
    _expect("preauth", "auth", service.preauth(username="user00001")["result"])
    pushed = service.auth(factor="push", username="user00001", device="auto", async_txn=True)
    _expect("auth_status", True, service.auth_status(pushed["txid"])["success"])
    for user, expected in (("user00001", "allow"), ("deny00001", "deny")):
        _expect(user, expected, service.auth(factor="push", username=user, device="auto")["result"])
    try:
        client("another key").check()
    except RuntimeError:
        return
    raise NotFit("the cloud takes calls under a wrong key")
