"""What a reload leaves nothing of: series and certificates of sections, cloud services and servers that are gone.

Counters stay: what was counted has happened, and a sum over all sections must not fall.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce

from authproxy.backends.directory.settings import Transport
from authproxy.backends.tls import host_name
from authproxy.service.building.parts import Built, DirectoryPart, PrimaryPart, RadiusPart
from authproxy.service.building.world import World
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class _Named:
    sections: frozenset[str] = frozenset()
    clouds: frozenset[str] = frozenset()
    servers: frozenset[str] = frozenset()

    def with_(self, other: _Named) -> _Named:
        return _Named(
            self.sections | other.sections, self.clouds | other.clouds, self.servers | other.servers
        )


def forget_vanished(world: World, gone: Built, left: Iterable[Built]) -> None:
    """Once no login that began with `gone` is waiting. `left`: what else still runs."""
    before, now = _named(gone), reduce(_Named.with_, map(_named, left), _Named())
    for section in before.sections - now.sections:
        world.metrics.section_gone(section)
    for host in before.clouds - now.clouds:
        world.metrics.cloud_gone(host)
    world.certificates.forget(before.servers - now.servers)


def _named(built: Built) -> _Named:
    sections = [section.options for section in built.sections.values()]
    clouds = frozenset(options.api_host for options in sections)
    servers = frozenset(host_name(name) for part in built.primaries.values() for name in _servers(part))
    return _Named(
        frozenset(options.name for options in sections), clouds, servers | frozenset(map(host_name, clouds))
    )


def _servers(part: PrimaryPart) -> Iterator[str]:
    """The names that their certificates are known by."""
    match part:
        case DirectoryPart(_, directory) if directory.settings.transport is not Transport.CLEAR:
            yield from (host.tls_name or host.address for host in directory.settings.hosts)
        case RadiusPart(_, servers) if servers.settings.trust is not None:
            yield from (servers.settings.tls_name or host for host, _ in servers.settings.hosts)
        case _:
            return
