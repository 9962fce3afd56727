"""Names on good and bad days, with look-ups that the test answers (A3, A4, F5)."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from authproxy.backends import resolve
from authproxy.backends.resolve import NameUnresolved, Resolver
from authproxy.observe.log import NullLog

V4 = [(socket.AF_INET, 1, 6, "", ("192.0.2.1", 0)), (socket.AF_INET, 1, 6, "", ("192.0.2.2", 0))]
V6 = [
    (socket.AF_INET6, 1, 6, "", ("2001:db8::1", 0, 0, 0)),
    (socket.AF_INET6, 1, 6, "", ("fe80::1", 0, 0, 7)),
]
NXDOMAIN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
SERVFAIL = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


class Dns:
    """Answers what the test says; `hang` makes it wait for `go`."""

    def __init__(self) -> None:
        self.answer: Any = V4
        self.asked: list[str] = []
        self.hang = False
        self.go = threading.Event()

    def __call__(self, name: str, *_: object, **__: object) -> Any:
        self.asked.append(name)
        if self.hang:
            self.go.wait(10)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


Ask = Callable[..., Any]


@pytest.fixture
def dns() -> Iterator[Dns]:
    made = Dns()
    yield made
    made.go.set()


@pytest.fixture
def ask(reactor_thread: Any, on_reactor: Callable[..., Any], dns: Dns) -> Iterator[Ask]:
    resolver = Resolver(reactor_thread, log=NullLog(), lookup=dns)
    yield lambda name="api.example.com", timeout=5.0: on_reactor(resolver.addresses, name, timeout)
    on_reactor(resolver.close)


@pytest.fixture
def stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer is old at once, and failures are not remembered."""
    monkeypatch.setattr(resolve, "FRESH", 0.0)
    monkeypatch.setattr(resolve, "RETRY", 0.0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("fe80::1%lo", "fe80::1%lo"),
    ],
)
def test_an_address_is_its_own_answer(ask: Ask, dns: Dns, name: str, expected: str) -> None:
    assert ask(name) == (expected,)
    assert dns.asked == []


@pytest.mark.parametrize("name", ["localhost", "LocalHost.", "api.localhost"])
def test_localhost_is_this_machine_whatever_a_server_says(ask: Ask, dns: Dns, name: str) -> None:
    """RFC 6761 §6.3; and a machine without a hosts file knows itself."""
    assert ask(name) == ("127.0.0.1", "::1")
    assert dns.asked == []


def test_families_in_turn(ask: Ask, dns: Dns) -> None:
    dns.answer = [*V6, *V4, V4[0]]
    assert ask() == ("2001:db8::1", "192.0.2.1", "fe80::1%7", "192.0.2.2")


def test_an_answer_is_kept_for_a_while(ask: Ask, dns: Dns) -> None:
    assert ask() == ask() == ("192.0.2.1", "192.0.2.2")
    assert dns.asked == ["api.example.com"]


@pytest.mark.usefixtures("stale")
def test_a_newer_answer(ask: Ask, dns: Dns) -> None:
    ask()
    dns.answer = V4[1:]
    assert ask() == ("192.0.2.2",)


@pytest.mark.usefixtures("stale")
def test_the_last_good_answer_for_a_bad_day(ask: Ask, dns: Dns) -> None:
    ask()
    dns.answer = SERVFAIL
    assert ask() == ("192.0.2.1", "192.0.2.2")


@pytest.mark.usefixtures("stale")
def test_the_last_good_answer_while_the_resolver_is_silent(
    ask: Ask, dns: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "PATIENCE", 0.05)
    ask()
    dns.hang = True
    assert ask() == ("192.0.2.1", "192.0.2.2")
    assert ask() == ("192.0.2.1", "192.0.2.2")
    assert len(dns.asked) == 2, "one look-up at a time"


def failure(ask: Ask, **kwargs: Any) -> NameUnresolved:
    with pytest.raises(NameUnresolved, match=r"api\.example\.com") as failed:
        ask(**kwargs)
    return failed.value


def test_nobody_answers(ask: Ask, dns: Dns) -> None:
    dns.answer = SERVFAIL
    assert not failure(ask).nxdomain


def test_a_silent_resolver(ask: Ask, dns: Dns) -> None:
    dns.hang = True
    assert not failure(ask, timeout=0.05).nxdomain
    assert not failure(ask, timeout=0.05).nxdomain
    assert len(dns.asked) == 1
    dns.hang = False
    dns.go.set()
    assert ask() == ("192.0.2.1", "192.0.2.2")


def test_no_such_name(ask: Ask, dns: Dns) -> None:
    dns.answer = NXDOMAIN
    first = failure(ask)
    assert (first.nxdomain, first.known) == (True, False)
    assert failure(ask).nxdomain
    assert len(dns.asked) == 1, "not asked again at once"


def test_a_name_without_addresses(ask: Ask, dns: Dns) -> None:
    dns.answer = []
    assert failure(ask).nxdomain


@pytest.mark.usefixtures("stale")
def test_a_name_that_was_there(ask: Ask, dns: Dns) -> None:
    """Not papered over with the last good answer: somebody took it away (F5)."""
    ask()
    dns.answer = NXDOMAIN
    gone = failure(ask)
    assert (gone.nxdomain, gone.known) == (True, True)
    dns.answer = V4
    assert ask() == ("192.0.2.1", "192.0.2.2")


def test_a_name_that_is_none(ask: Ask, dns: Dns) -> None:
    dns.answer = UnicodeError("label too long")
    assert not failure(ask).nxdomain


def test_a_hanging_name_holds_up_no_other(ask: Ask, dns: Dns) -> None:
    dns.hang = True
    for number in range(3):
        with pytest.raises(NameUnresolved):
            ask(f"slow{number}.example.com", timeout=0.02)
    dns.hang = False
    assert ask("quick.example.com") == ("192.0.2.1", "192.0.2.2")


def test_closed(reactor_thread: Any, on_reactor: Callable[..., Any], dns: Dns) -> None:
    resolver = Resolver(reactor_thread, log=NullLog(), lookup=dns)
    on_reactor(resolver.close)
    with pytest.raises(NameUnresolved):
        on_reactor(resolver.addresses, "api.example.com", 1)


def test_the_system_s_resolver(reactor_thread: Any, on_reactor: Callable[..., Any]) -> None:
    resolver = Resolver(reactor_thread, log=NullLog())
    assert set(on_reactor(resolver.addresses, "localhost", 5)) <= {"127.0.0.1", "::1"}
    on_reactor(resolver.close)


@pytest.mark.parametrize("said", [NXDOMAIN, SERVFAIL, OSError(errno.EMFILE, "Too many open files")])
def test_a_want_of_descriptors_is_neither_an_outage_nor_tampering(
    dns: Dns, ask: Ask, monkeypatch: pytest.MonkeyPatch, said: OSError
) -> None:
    """A8, F3: the resolver says what it likes when it can't open a socket; no door may open for that."""

    def none_left(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(resolve.os, "open", none_left)
    dns.answer = said
    with pytest.raises(NameUnresolved, match="no file descriptor left") as failed:
        ask()
    assert (failed.value.local, failed.value.nxdomain) == (True, False)
