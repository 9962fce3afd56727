"""The EAP conversations that a section is in, by State: how many, how long, and who has to go (A1, A9)."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field

from authproxy.pipeline.decision import Accept, Decision, Reject
from authproxy.pipeline.logins import Answer
from authproxy.protocols.eap.conversation import Conversation

MOST_CONVERSATIONS = 2048  # some 100 KiB each while TLS is in them
IDLE = 60.0  # seconds between two packets of a peer's
AGREEING = 30.0  # seconds from the first packet behind an Accept to the last one


@dataclass(slots=True, eq=False)
class Peer:
    """One conversation. `said`: what its last packet was answered with; None while that is being decided."""

    conversation: Conversation
    client: str
    handle: bytes
    seen: float
    heard: bytes = b""
    said: Decision | None = None
    waiting: list[Answer] = field(default_factory=list)
    inner_state: bytes = b""  # of the challenge that is put to the user
    verdict: Accept | Reject | None = None
    over_at: float = math.inf  # when an Accept that the peer hasn't agreed to counts no more

    @property
    def is_login(self) -> bool:
        """Somebody's password is being checked, or was right, and the end is still to come."""
        right = bool(self.inner_state) or isinstance(self.verdict, Accept)
        return self.conversation.is_deciding or (right and not isinstance(self.said, Accept))


class Conversations:
    """Nobody has to prove anything to begin one, so beginnings make room for each other, and never end a login."""

    def __init__(self, most: int = MOST_CONVERSATIONS) -> None:
        self._most = most
        self._peers: OrderedDict[bytes, Peer] = OrderedDict()  # whoever was heard of longest ago first
        # Those without a tunnel yet, by client: one that floods us pushes out its own.
        self._beginning: dict[str, OrderedDict[bytes, Peer]] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def __contains__(self, handle: bytes | None) -> bool:
        return handle in self._peers

    def get(self, handle: bytes, client: str) -> Peer | None:
        """None: there is none, or it is another client's."""
        peer = self._peers.get(handle)
        return peer if peer is not None and peer.client == client else None

    def add(self, peer: Peer) -> bool:
        """False: all there is room for are logins."""
        if len(self._peers) >= self._most and not self._make_room():
            return False
        self._peers[peer.handle] = peer
        self._beginning.setdefault(peer.client, OrderedDict())[peer.handle] = peer
        return True

    def heard(self, peer: Peer, now: float) -> None:
        peer.seen = now
        self._peers.move_to_end(peer.handle)
        beginning = self._beginning.get(peer.client)
        if beginning is not None and peer.handle in beginning:
            beginning.move_to_end(peer.handle)

    def has_tunnel(self, peer: Peer) -> None:
        """It has cost the peer as much as us; only then does it count for more."""
        self._begun(peer)

    def drop(self, peer: Peer) -> None:
        if self._peers.get(peer.handle) is peer:
            del self._peers[peer.handle]
            self._begun(peer)

    def is_late(self, peer: Peer, now: float) -> bool:
        """Whether it has known for too long that it is let in: what was decided then needn't be so now (F3)."""
        if isinstance(peer.verdict, Accept):
            peer.over_at = min(peer.over_at, now + AGREEING)
        return now >= peer.over_at

    def forget(self, now: float, patience: float) -> None:
        """Those that have been silent for too long. `patience`: seconds that a login may take."""
        while self._peers:
            oldest = next(iter(self._peers.values()))
            if now - oldest.seen < IDLE + (patience if oldest.conversation.is_deciding else 0):
                return
            self.drop(oldest)

    def _begun(self, peer: Peer) -> None:
        beginning = self._beginning.get(peer.client)
        if beginning is not None and beginning.pop(peer.handle, None) is not None and not beginning:
            del self._beginning[peer.client]

    def _make_room(self) -> bool:
        if self._beginning:
            most = max(self._beginning.values(), key=len)
            self.drop(next(iter(most.values())))
            return True
        idle = next((peer for peer in self._peers.values() if not peer.is_login), None)
        if idle is None:
            return False
        self.drop(idle)
        return True
