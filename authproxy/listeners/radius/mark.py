"""What marks the session of a login that passed without a second factor, so that the NAS can restrict it (F9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from authproxy.protocols.radius.packet import EAP_MESSAGE, REPLY_MESSAGE, Attribute


@dataclass(frozen=True, slots=True)
class SessionMark:
    """Attributes, octet for octet; each takes the place of any of its type that the primary sent.

    A NAS that got two Filter-Ids might go by the one that restricts nothing.
    """

    attributes: tuple[Attribute, ...]

    def on(self, attributes: Sequence[Attribute]) -> list[Attribute]:
        """An Accept's attributes with the mark. RFC 3579 §2.6.5: no Reply-Message beside EAP."""
        words = all(attribute.type != EAP_MESSAGE for attribute in attributes)
        marks = [mark for mark in self.attributes if words or mark.type != REPLY_MESSAGE]
        types = {mark.type for mark in marks}
        return [*(attribute for attribute in attributes if attribute.type not in types), *marks]
