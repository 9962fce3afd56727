"""Marks the session of a login that passed without a second factor, so that the NAS can restrict it (F9)."""

from __future__ import annotations

from collections.abc import Sequence

from authproxy.protocols.radius.packet import EAP_MESSAGE, REPLY_MESSAGE, Attribute
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class SessionMark:
    """Attributes, octet for octet. Each replaces all attributes of its type from the primary.

    A NAS that gets two Filter-Ids might use the one that restricts nothing.
    """

    attributes: tuple[Attribute, ...]

    def on(self, attributes: Sequence[Attribute]) -> list[Attribute]:
        """The Accept's attributes with the mark. RFC 3579 §2.6.5: no Reply-Message with EAP."""
        words = all(attribute.type != EAP_MESSAGE for attribute in attributes)
        marks = [mark for mark in self.attributes if words or mark.type != REPLY_MESSAGE]
        types = {mark.type for mark in marks}
        return [*(attribute for attribute in attributes if attribute.type not in types), *marks]
