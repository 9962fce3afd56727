"""Whether a RADIUS primary accepts a NAS's own secret. The NAS could then log users in there, around
the proxy (F11).
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from authproxy.backends.radius.primary import RadiusPrimary
from authproxy.cli.finding import Finding, Level
from authproxy.config.load import Loaded
from authproxy.config.model import Client, RadiusServer
from authproxy.service.building.parts import RadiusPart
from authproxy.service.building.world import World

_MOST_TRIED = 5  # secrets of one primary; each is a few datagrams that nobody answers
_TODO = "let the primary's firewall and client list accept requests only from this proxy"


async def probe_bypass(
    name: str, part: RadiusPart, loaded: Loaded, world: World, silence: float
) -> list[Finding]:
    """Asks by Status-Server from this machine. `silence`: seconds to wait for an answer. No answer proves nothing."""
    settings = part.primary.settings
    if settings.trust is not None:
        return []  # over TLS a certificate is what lets anybody ask
    findings: list[Finding] = []
    tried: list[tuple[str, Deferred[bool]]] = []
    for section, client in _clients(name, loaded):
        at = f"{name}: client {client.name} of {section}"
        if client.secret == settings.secret:
            detail = (
                "has the same secret as the primary, and could ask it directly without a second factor; "
                f"{_TODO}"
            )
            findings.append(Finding(Level.WARN, "bypass", at, detail))
        elif len(tried) < _MOST_TRIED:
            primary = RadiusPrimary(
                replace(settings, secret=client.secret),
                reactor=world.reactor,
                resolver=world.resolver,
                log=world.log,
            )
            tried.append((at, Deferred.fromCoroutine(_takes(primary, silence))))
    for at, taken in tried:
        if await taken:
            detail = (
                "the primary accepts this client's secret, so the client could ask it directly without a "
                f"second factor; {_TODO}"
            )
            findings.append(Finding(Level.WARN, "bypass", at, detail))
    return findings


def _takes(primary: RadiusPrimary, silence: float) -> Coroutine[Any, Any, bool]:
    async def ask() -> bool:
        try:
            return any(not report.problem for report in await primary.examine(silence))
        finally:
            await primary.close()

    return ask()


def _clients(name: str, loaded: Loaded) -> Iterator[tuple[str, Client]]:
    """Of the sections behind which this primary stands; each secret once."""
    seen = set()
    for section in loaded.config.all(RadiusServer).values():
        if section.client == name:
            for client in section.clients:
                if (secret := client.secret.reveal()) not in seen:
                    seen.add(secret)
                    yield section.name, client
