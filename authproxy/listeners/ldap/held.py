"""What a client sent while a bind of its was being decided: kept in order, and limited (L8)."""

from __future__ import annotations

from collections import deque

from authproxy.protocols.ldap.framing import Frame
from authproxy.protocols.ldap.requests import UNBIND


class Held:
    """True while there is anything in it."""

    def __init__(self) -> None:
        self._frames: deque[Frame] = deque()
        self._octets = 0

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: Frame, *, most: int, most_octets: int) -> bool:
        """Append. False: there are too many, or they are too large."""
        self._octets += len(frame.octets)
        if len(self._frames) >= most or self._octets > most_octets:
            return False
        self._frames.append(frame)
        return True

    def put_back(self, frame: Frame) -> None:
        """Put in front of the others."""
        self._frames.appendleft(frame)
        self._octets += len(frame.octets)

    def take(self) -> Frame:
        frame = self._frames.popleft()
        self._octets -= len(frame.octets)
        return frame

    def clear(self) -> None:
        self._frames.clear()
        self._octets = 0

    def has(self, message_id: int) -> bool:
        return any(frame.message_id == message_id for frame in self._frames)

    def goodbye(self) -> Frame | None:
        """The Unbind among them, if any."""
        return next((frame for frame in self._frames if frame.tag == UNBIND), None)
