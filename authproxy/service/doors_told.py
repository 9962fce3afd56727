"""Logs the safe sections at the start and every hour, and the beginning and end of primary-only (F2)."""

from __future__ import annotations

from authproxy.config.model import ServerSection
from authproxy.observe.lines import timestamp
from authproxy.pipeline.fail_mode import FailMode
from authproxy.service.building.parts import NoPart
from authproxy.service.building.world import World
from authproxy.service.running import Service

HOUR = 3600.0


class Doors:
    """For the configuration that is running."""

    def __init__(self, service: Service, world: World) -> None:
        self._service = service
        self._world = world

    def look(self) -> None:
        """Check whether primary-only has begun or ended."""
        self._world.primary_only.look([options.name for options in self._safe()])

    def tell_safe(self) -> None:
        """F2: log which sections let users in on a password alone in an outage, and within which limits."""
        for options in self._safe():
            until = self._world.primary_only.until(options.name)
            self._world.log.warn(
                "door.safe_section",
                section=options.name,
                effect="while the cloud can't be reached, users get in on a password alone",
                max_minutes=options.fail_open_max_minutes or "none",
                max_per_hour=options.fail_open_max_per_hour or "none",
                primary_only="off" if until is None else f"until {timestamp(until)}",
            )

    def _safe(self) -> list[ServerSection]:
        return [
            section.options
            for section in self._service.built.sections.values()
            if section.options.failmode is FailMode.SAFE and not isinstance(section.primary, NoPart)
        ]
