"""Whose wrong passwords they are, whatever form a bind name has (A10)."""

from __future__ import annotations

from typing import Any

import pytest

from authproxy.backends.directory.counted import CountedNames
from authproxy.pipeline.ports import PrimaryUnavailable
from authproxy.protocols.ldap.responses import Result, SearchResultDone

from .fakes import AD_CAPABILITIES, BASE, ONE, PEOPLE, Desk, Entry, desk, person

ENTRY = f"CN=Alice Smith,{PEOPLE}"


APP = f"CN=app,OU=Services,{BASE}"


class Names:
    def __init__(self) -> None:
        self.desk: Desk = desk(ntlm_domain="CORP")
        more = {"userPrincipalName": ["alice.smith@corp.test"], "displayName": ["Ms Smith"]}
        self.desk.one.entries += [
            person("asmith", dn=ENTRY, **more),
            Entry(APP, {"objectClass": ["account"]}),
        ]
        self.counted = CountedNames(self.desk.directory, clock=self.desk.network.seconds)

    def of(self, name: str) -> str:
        network = self.desk.network
        return network.run(self.counted.of(name, network.seconds() + 10))


@pytest.mark.parametrize(
    "name",
    [
        ENTRY,
        ENTRY.upper(),
        f"cn = alice  smith , {PEOPLE}",
        "alice.smith@corp.test",
        "CORP\\asmith",
        "asmith",
    ],
)
def test_forms_of_one_name(name: str) -> None:
    assert Names().of(name) == "asmith"


@pytest.mark.parametrize("name", [f'CN="Alice Smith";{PEOPLE}', "<SID=S-1-5-21-1>", "CN=Ａlice Smith;"])
def test_what_only_the_directory_can_read(name: str) -> None:
    """RFC 2253 §4, and what Active Directory has of its own: none of them is a DN to us."""
    names = Names()

    def reads(session: Any, frame: Any, asked: Any) -> bool:
        if asked.base != name:
            return False
        session.entry(frame, names.desk.one.entries[-2])
        session.say(frame, SearchResultDone(Result(0)))
        return True

    names.desk.one.on_search = reads
    assert names.of(name) == "asmith"


def test_display_names() -> None:
    assert Names().of("Ms Smith") == "ms smith", "of no meaning elsewhere"
    names = Names()
    names.desk.one.root = AD_CAPABILITIES
    assert names.of("MS SMITH") == "asmith"


@pytest.mark.parametrize("name", [APP, APP.lower(), APP.replace(",", " , ")])
def test_an_entry_without_a_name_is_counted_by_its_dn(name: str) -> None:
    assert Names().of(name) == APP.lower()


@pytest.mark.parametrize(
    ("name", "counted"), [("nobody@corp.test", "nobody"), (f"CN=Ghost,{PEOPLE}", "ghost"), ("a=b", "a=b")]
)
def test_a_name_without_an_entry_is_counted_as_it_is_written(name: str, counted: str) -> None:
    assert Names().of(name) == counted


def test_what_is_kept_is_short() -> None:
    """A thousand names of two thousand letters are two million; nobody needs them told apart by the last ones."""
    names = Names()
    assert names.of("x" * 2000) == "x" * 256
    longest = f"CN=Alice{' ' * 300}Smith,{PEOPLE}"
    assert names.of(longest) == "asmith"
    assert longest not in names.counted._known


def test_a_name_is_looked_up_now_and_then() -> None:
    names = Names()
    assert names.of(ENTRY) == "asmith"
    del names.desk.one.entries[-2:]
    assert names.of(ENTRY) == "asmith"
    names.desk.network.advance(301)
    assert names.of(ENTRY) == "alice smith"


def test_nobody_to_ask() -> None:
    names = Names()
    names.desk.down(ONE)
    with pytest.raises(PrimaryUnavailable):
        names.of(ENTRY)
