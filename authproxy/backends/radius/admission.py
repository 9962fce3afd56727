"""Whether RADIUS servers would still let in who had the right password before a reload (F3)."""

from __future__ import annotations

from authproxy.pipeline.ports import Admission
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class RadiusAdmission:
    """Implements pipeline.ports.Admission. Without the password there is nothing that a server could be asked."""

    hosts: frozenset[tuple[str, int]]

    async def still(self, earlier: Admission | None, username: str, dn: str, deadline: float) -> bool:
        """If the word was that of a server which is still asked; of an earlier start's that is taken for granted."""
        if earlier is None:
            return True
        return isinstance(earlier, RadiusAdmission) and earlier.hosts <= self.hosts
