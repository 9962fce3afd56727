"""What a client sent while a bind of its was being decided: kept in order, and limited (L8)."""

from __future__ import annotations

from collections import deque

from authproxy.protocols.ldap.framing import Frame
from authproxy.protocols.ldap.requests import UNBIND


class Held(deque[Frame]):
    """A queue that counts its octets."""

    def __init__(self) -> None:
        super().__init__()
        self._octets = 0

    def add(self, frame: Frame, *, most: int, most_octets: int) -> bool:
        """Append. False: there are too many, or they are too large."""
        self._octets += len(frame.octets)
        if len(self) >= most or self._octets > most_octets:
            return False
        self.append(frame)
        return True

    def put_back(self, frame: Frame) -> None:
        """Put in front of the others."""
        self.appendleft(frame)
        self._octets += len(frame.octets)

    def take(self) -> Frame:
        frame = self.popleft()
        self._octets -= len(frame.octets)
        return frame

    def clear(self) -> None:
        super().clear()
        self._octets = 0

    def has(self, message_id: int) -> bool:
        return any(frame.message_id == message_id for frame in self)

    def goodbye(self) -> Frame | None:
        """The Unbind among them, if any."""
        return next((frame for frame in self if frame.tag == UNBIND), None)
