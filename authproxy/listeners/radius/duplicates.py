"""Repeated datagrams (R45, RFC 5080 §2.2.2): no answer while the first is being answered, then the
same octets again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from authproxy.listeners.radius.udp import Source
from authproxy.protocols.radius.packet import (
    ARAP_PASSWORD,
    CHAP_PASSWORD,
    EAP_MESSAGE,
    STATE,
    USER_NAME,
    USER_PASSWORD,
    VENDOR_SPECIFIC,
    Packet,
    encode_attributes,
)

# Answered requests whose octets are kept; beyond it the oldest go first, long before memory does.
_MOST_ANSWERED = 65_536
# Seconds for which a repetition of what got no answer gets none either. Later it is a new request: the outage may be
# over, and whoever still asks is still waiting.
QUIET = 5.0
# Who asks, and by what.
_LOGIN = frozenset(
    (USER_NAME, USER_PASSWORD, CHAP_PASSWORD, STATE, VENDOR_SPECIFIC, ARAP_PASSWORD, EAP_MESSAGE)
)


# A request, as its sender counts it: where it came from, the socket on which it arrived, its identifier.
Identity = tuple[Source, str, int]


@dataclass(slots=True, eq=False)
class Exchange:
    """A known request; `reply` is None while the answer is being made."""

    identity: Identity
    mark: bytes
    login: Hashable  # None: it isn't one
    reply: bytes | None = None
    answered_at: float = 0.0
    # What is decided once is not decided again.
    decided: bool = False
    # A later request took its identifier: whoever waits for this answer has gone (R49).
    superseded: bool = False
    # It gets no answer at all; `answered_at` is when that was decided.
    silent: bool = False


def mark(packet: Packet) -> bytes:
    """What is alike in a datagram and its repetitions, and in no others: the Request Authenticator and the login.

    The Authenticator alone would do, were it never used twice. A NAS that repeats its own must not give one user the
    answer that was another's: the reply is signed over nothing else of the request.
    """
    login = encode_attributes(packet.among(_LOGIN))
    return hashlib.blake2b(packet.authenticator + login, digest_size=16).digest()


class Duplicates:
    """Requests in progress, and the answered ones for `keep` seconds."""

    def __init__(self, keep: float) -> None:
        self.keep = keep
        self._known: dict[tuple[Identity, bytes], Exchange] = {}
        self._newest: dict[Identity, Exchange] = {}
        self._answered: OrderedDict[Exchange, None] = OrderedDict()
        self._silent: OrderedDict[Exchange, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def find(self, identity: Identity, mark: bytes, now: float) -> Exchange | None:
        """The exchange that this datagram repeats. None: it is a new request."""
        self._expire(now)
        return self._known.get((identity, mark))

    def begin(self, identity: Identity, mark: bytes, *, authentic: bool, login: Hashable = None) -> Exchange:
        """Add a new request. `login`: what its client's questions about this login have in common.

        Only an authentic request may replace an older one with the same identifier, because anyone can send datagrams
        under another's address (R45).
        """
        older = self._newest.get(identity)
        if older is not None and authentic:
            older.superseded = True
            self._forget(older)
        exchange = Exchange(identity, mark, login)
        self._known[identity, mark] = exchange
        if authentic or older is None:
            self._newest[identity] = exchange
        return exchange

    def answered(self, exchange: Exchange, reply: bytes, now: float) -> None:
        """Keep the reply's octets for repetitions."""
        if exchange.superseded:
            return
        exchange.reply, exchange.answered_at = reply, now
        self._answered[exchange] = None
        if len(self._answered) > _MOST_ANSWERED:
            self._forget(next(iter(self._answered)))

    def silenced(self, exchange: Exchange, now: float) -> None:
        """It gets no answer, and for QUIET seconds neither do its repetitions."""
        if exchange.superseded:
            return
        exchange.silent, exchange.answered_at = True, now
        self._silent[exchange] = None
        if len(self._silent) > _MOST_ANSWERED:
            self._forget(next(iter(self._silent)))

    def abandon(self, exchange: Exchange) -> None:
        """It will get no answer; the same datagram again is a new request."""
        self._forget(exchange)

    def _expire(self, now: float) -> None:
        for exchanges, keep in ((self._answered, self.keep), (self._silent, QUIET)):
            while exchanges:
                oldest = next(iter(exchanges))
                if now - oldest.answered_at < keep:
                    break
                self._forget(oldest)

    def _forget(self, exchange: Exchange) -> None:
        self._known.pop((exchange.identity, exchange.mark), None)
        self._answered.pop(exchange, None)
        self._silent.pop(exchange, None)
        if self._newest.get(exchange.identity) is exchange:
            del self._newest[exchange.identity]
