"""The EAP conversations of a section, by State: how many, for how long, and which ones are ended first (A1, A9)."""

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
    """One conversation. `said`: the answer to its last packet; None while that is being decided."""

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
        """A password is being checked, or was right, and the conversation isn't over."""
        right = bool(self.inner_state) or isinstance(self.verdict, Accept)
        return self.conversation.is_deciding or (right and not isinstance(self.said, Accept))


class Conversations:
    """Anybody can begin one, so new ones replace others that have only begun, and never end a login."""

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
        """None: there is none with this State, or it belongs to another client."""
        peer = self._peers.get(handle)
        return peer if peer is not None and peer.client == client else None

    def add(self, peer: Peer) -> bool:
        """False: there is no room, because all of them are logins."""
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
        """Its TLS tunnel is complete. That costs the peer as much as us, so it is kept longer than a mere beginning."""
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
        """End those that have been silent for too long. `patience`: seconds that a login may take."""
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
