"""What the nodes share, if a `shared_state` is configured: its settings, and the store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from authproxy.backends.resolve import Resolver
from authproxy.backends.shared_state import Shared
from authproxy.backends.shared_state.settings import SharedStateSettings
from authproxy.backends.tls import ServerCertificates, Trust, UnusableTrust, client_tls
from authproxy.config.model import Config, Main, SharedState, StoreTransport
from authproxy.observe.log import Log
from authproxy.observe.metrics import Metrics
from authproxy.pipeline.push_limit import Alert
from authproxy.protocols.shared_state import NodeKeys
from authproxy.service.building.world import World


def settings_of(options: SharedState) -> SharedStateSettings:
    tls = options.transport is StoreTransport.TLS
    return SharedStateSettings(
        host=options.host,
        port=options.port,
        trust=Trust(ca_file=options.ssl_ca_certs_file) if tls else None,
        tls_name=options.ssl_server_name,
        username=options.username,
        password=options.password,
        database=options.database,
        timeout=options.timeout,
        nodes=options.nodes,
    )


def unusable(config: Config) -> Iterator[tuple[str, str]]:
    """Sections whose certificates can't be used, and why."""
    for name, options in config.all(SharedState).items():
        settings = settings_of(options)
        try:
            if settings.trust is not None:
                client_tls(settings.tls_name or settings.host, settings.trust)
        except UnusableTrust as wrong:
            yield name, str(wrong)


def make_shared(
    config: Config,
    *,
    reactor: Any,
    resolver: Resolver,
    certificates: ServerCertificates,
    metrics: Metrics,
    log: Log,
    alert: Alert,
) -> Shared | None:
    """None: this node shares nothing. Nothing is asked before `start`."""
    options = next(iter(config.all(SharedState).values()), None)
    if options is None:
        return None
    # Few installations have more than one node, and the client library takes a megabyte.
    from authproxy.backends.shared_state.link import Link  # noqa: PLC0415
    from authproxy.backends.shared_state.store import SharedState as Store  # noqa: PLC0415

    link = Link(settings_of(options), reactor=reactor, resolver=resolver, log=log, certificates=certificates)
    store = Store(
        link,
        _keys(config.main, options),
        nodes=options.nodes,
        reactor=reactor,
        log=log,
        alert=alert,
        joined=metrics.shared_state(lambda: link.is_up),
    )
    link.greeting, link.changed = store.alive, store.came_up
    return store


class Unusable(Exception):
    """Nodes can't share anything there. The text says why."""


async def examine(options: SharedState, world: World, main: Main) -> float:
    """Do in the store what nodes do: write, for a second. Returns the answer's seconds. Raises Unusable."""
    from authproxy.backends.shared_state.link import Link, Unreachable  # noqa: PLC0415 - as above
    from authproxy.backends.shared_state.scripts import ALIVE  # noqa: PLC0415

    link = Link(
        settings_of(options),
        reactor=world.reactor,
        resolver=world.resolver,
        log=world.log,
        certificates=world.certificates,
    )
    keys = _keys(main, options)
    try:
        return await link.examine(ALIVE, [keys.name("node", keys.token())], [1000])
    except Unreachable as unreachable:
        raise Unusable(str(unreachable)) from None


def _keys(main: Main, options: SharedState) -> NodeKeys:
    keys = [key for key in (main.challenge_key, main.challenge_key_before) if key is not None]
    return NodeKeys(keys, options.prefix)
