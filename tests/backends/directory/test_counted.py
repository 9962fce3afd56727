"""Whose wrong passwords they are, whatever form a bind name has (A10)."""

from __future__ import annotations

import pytest

from authproxy.backends.directory.counted import CountedNames
from authproxy.pipeline.ports import PrimaryUnavailable

from .fakes import ONE, PEOPLE, Desk, desk, person

ENTRY = f"CN=Alice Smith,{PEOPLE}"


class Names:
    def __init__(self) -> None:
        self.desk: Desk = desk(ntlm_domain="CORP")
        self.desk.one.entries.append(person("asmith", dn=ENTRY, userPrincipalName=["alice.smith@corp.test"]))
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


@pytest.mark.parametrize(
    ("name", "counted"), [("nobody@corp.test", "nobody"), (f"CN=Ghost,{PEOPLE}", "ghost"), ("a=b", "a=b")]
)
def test_a_name_without_an_entry_is_counted_as_it_is_written(name: str, counted: str) -> None:
    assert Names().of(name) == counted


def test_a_name_is_looked_up_now_and_then() -> None:
    names = Names()
    assert names.of(ENTRY) == "asmith"
    names.desk.one.entries.pop()
    assert names.of(ENTRY) == "asmith"
    names.desk.network.advance(301)
    assert names.of(ENTRY) == "alice smith"


def test_nobody_to_ask() -> None:
    names = Names()
    names.desk.down(ONE)
    with pytest.raises(PrimaryUnavailable):
        names.of(ENTRY)
