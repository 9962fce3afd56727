"""Names to addresses, in threads of its own (A3), with the last good answer kept for a bad day (A4).

A name that resolved before and now does not exist is told apart from one that could not be looked up: the first is
a sign of tampering (F5), the second an outage.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from itertools import chain, zip_longest
from threading import Thread
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from authproxy.observe.log import Log

FRESH = 60.0  # seconds that an answer is used without asking again; the system's resolver tells no TTL
# Seconds that a login waits for a newer answer while an older one is at hand.
PATIENCE = 2.0
LOCAL_RETRY = 1.0  # the same, when it was this process that couldn't ask
RETRY = 10.0  # seconds until a name is looked up again after a failure
_NOT_THERE = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})

_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})

Lookup = Callable[..., Sequence[tuple[Any, ...]]]


class NameUnresolved(Exception):
    """No address. `nxdomain`: the name does not exist; else nobody could say. `known`: it had addresses before.

    `local`: it is this process that couldn't ask.
    """

    def __init__(self, name: str, *, nxdomain: bool, known: bool = False, local: bool = False) -> None:
        why = (
            "no file descriptor left to ask with: raise LimitNOFILE"
            if local
            else "no answer from the resolver"
        )
        super().__init__(f"{name}: {'no such name' if nxdomain else why}")
        self.name = name
        self.nxdomain = nxdomain
        self.known = known
        self.local = local


class _NoDescriptors(Exception):
    """A8: the resolver says that there is no such name, or no answer, when it can't open a socket or a file."""


class _Threads(ThreadPool):
    """A look-up that hangs in a dead resolver must not keep the process from ending."""

    @staticmethod
    def threadFactory(**given: Any) -> Thread:  # type: ignore[override]  # noqa: N802 - Twisted's
        return Thread(daemon=True, **given)


@dataclass(slots=True)
class _Name:
    """What is known of a name. Times are the reactor's seconds."""

    addresses: tuple[str, ...] = ()
    good_until: float = 0.0
    failed: NameUnresolved | None = None
    retry_at: float = 0.0
    waiting: list[Deferred[None]] = field(default_factory=list)
    asking: bool = False


class Resolver:
    """Addresses of the names in the configuration: few, so one look-up per name bounds everything."""

    def __init__(
        self,
        reactor: Any,
        *,
        log: Log,
        threads: int = 8,
        lookup: Lookup = socket.getaddrinfo,
    ) -> None:
        self._reactor = reactor
        self._log = log
        self._lookup = lookup
        self._names: dict[str, _Name] = {}
        self._pool = _Threads(0, threads, name="resolver")
        self._closed = False

    async def addresses(self, name: str, timeout: float) -> tuple[str, ...]:
        """At least one address, IPv6 and IPv4 in turn, the system's preference first.

        `timeout` is in seconds. Raises NameUnresolved.
        """
        if addresses := self.at_hand(name):
            return addresses
        known = self._names.setdefault(name, _Name())
        now = self._reactor.seconds()
        if known.failed is None or now >= known.retry_at:
            patience = min(timeout, PATIENCE) if known.addresses else timeout
            await self._refreshed(name, known, patience)
        return _answer(name, known)

    def at_hand(self, name: str) -> tuple[str, ...]:
        """As `addresses`, if nobody has to be asked for them now; otherwise none."""
        if literal := _literal(name):
            return literal
        known = self._names.get(name)
        return known.addresses if known is not None and self._reactor.seconds() < known.good_until else ()

    def close(self) -> None:
        """Look-ups in progress end unheard."""
        self._closed = True
        if self._pool.started:
            # Elsewhere, because it waits for the threads.
            Thread(target=self._pool.stop, daemon=True).start()

    async def _refreshed(self, name: str, known: _Name, patience: float) -> None:
        """Wait until the look-up in progress ends, or patience does."""
        if not known.asking:
            self._ask(name, known)
        if not known.asking:
            return
        waiting: Deferred[None] = Deferred()
        known.waiting.append(waiting)
        timer = self._reactor.callLater(max(0.0, patience), _fire, known.waiting, waiting)
        try:
            await waiting
        finally:
            if timer.active():
                timer.cancel()
            if waiting in known.waiting:
                known.waiting.remove(waiting)

    def _ask(self, name: str, known: _Name) -> None:
        if self._closed:
            return
        if not self._pool.started:
            self._pool.start()
        known.asking = True
        asked = deferToThreadPool(self._reactor, self._pool, _look_up, self._lookup, name)
        asked.addCallbacks(
            lambda answers: self._found(answers, name, known),
            lambda failure: self._not_found(failure, name, known),
        )
        asked.addBoth(self._asked, known)

    def _found(self, answers: Sequence[tuple[Any, ...]], name: str, known: _Name) -> None:
        addresses = _interleaved(answers)
        if not addresses:
            self._fail(name, known, nxdomain=True)
            return
        if known.failed is not None:
            self._log.info("name.resolved_again", name=name)
        known.addresses, known.failed = addresses, None
        known.good_until = self._reactor.seconds() + FRESH

    def _not_found(self, failure: Failure, name: str, known: _Name) -> None:
        error = failure.value
        if isinstance(error, _NoDescriptors):
            self._fail(name, known, nxdomain=False, local=True)
            return
        if isinstance(error, Exception) and not isinstance(error, (OSError, UnicodeError)):
            self._log.failure("name.lookup_failed", error, name=name)
        self._fail(name, known, nxdomain=isinstance(error, socket.gaierror) and error.errno in _NOT_THERE)

    def _fail(self, name: str, known: _Name, *, nxdomain: bool, local: bool = False) -> None:
        known.failed = NameUnresolved(name, nxdomain=nxdomain, known=bool(known.addresses), local=local)
        known.retry_at = self._reactor.seconds() + (LOCAL_RETRY if local else RETRY)
        if local:
            self._log.error(
                "process.no_descriptors", needed_for=f"looking {name} up", todo="raise LimitNOFILE"
            )
        self._log.warn("name.unresolved", name=name, nxdomain=nxdomain, last_good=list(known.addresses))

    def _asked(self, _: object, known: _Name) -> None:
        known.asking = False
        for waiting in known.waiting[:]:
            _fire(known.waiting, waiting)


def _look_up(lookup: Lookup, name: str) -> Sequence[tuple[Any, ...]]:
    """In a thread. Raises OSError, and _NoDescriptors in place of what the want of them looks like."""
    try:
        return lookup(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        if error.errno in _OUT_OF_DESCRIPTORS or _none_is_left():
            raise _NoDescriptors from None
        raise


def _none_is_left() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno in _OUT_OF_DESCRIPTORS
    return False


def _answer(name: str, known: _Name) -> tuple[str, ...]:
    failed = known.failed
    if failed is not None and failed.nxdomain:
        raise NameUnresolved(name, nxdomain=True, known=failed.known)
    if not known.addresses:
        raise NameUnresolved(name, nxdomain=False, local=failed is not None and failed.local)
    return known.addresses


def _fire(waiting: list[Deferred[None]], one: Deferred[None]) -> None:
    if one in waiting:
        waiting.remove(one)
        one.callback(None)


@lru_cache(maxsize=1024)  # asked for each login anew; a configuration has a few
def _literal(name: str) -> tuple[str, ...]:
    """Nobody has to be asked for these. RFC 6761 §6.3: localhost is this machine, whatever a server or a file says."""
    try:
        return (str(ip_address(name.strip("[]"))),)
    except ValueError:
        label = name.lower().removesuffix(".").rpartition(".")[2]
        return ("127.0.0.1", "::1") if label == "localhost" else ()


def _interleaved(answers: Sequence[tuple[Any, ...]]) -> tuple[str, ...]:
    """RFC 8305 §4: the system's order, families in turn, each address once."""
    families: dict[int, list[str]] = {}
    for family, _, _, _, address in answers:
        if family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0])
            # A link-local address is nothing without its interface.
            scoped = (
                f"{host}%{address[3]}"
                if family == socket.AF_INET6 and address[3] and "%" not in host
                else host
            )
            families.setdefault(family, []).append(scoped)
    in_turn = chain.from_iterable(zip_longest(*families.values()))
    return tuple(dict.fromkeys(address for address in in_turn if address is not None))
