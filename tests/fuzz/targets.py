"""What can be fuzzed: a name, and `run(seconds, seed) -> Report`. Add yours here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.fuzz import cloud, eap, ldap, ldap_relay, radius, radsec, texts
from tests.fuzz.report import Report

Run = Callable[[float, int], Report]

TARGETS: dict[str, Run] = {
    "cloud": cloud.run,
    "eap": eap.run,
    "ldap": ldap.run,
    "ldap-answers": ldap_relay.run_answers,
    "ldap-client": ldap_relay.run,
    "proxy": cloud.run_proxy,
    "radius": radius.run,
    "radsec": radsec.run,
    "signatures": cloud.run_signatures,
    **{name: partial(texts.run, name) for name in texts.TEXTS},
}
