"""What the nodes share, if a `shared_state` is configured: its settings, and the store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from authproxy.backends.resolve import Resolver
from authproxy.backends.shared_state import Shared
from authproxy.backends.shared_state.settings import SharedStateSettings
from authproxy.backends.tls import ServerCertificates, Trust, UnusableTrust, client_tls
from authproxy.config.model import Config, SharedState, StoreTransport
from authproxy.observe.log import Log
from authproxy.observe.metrics import Metrics
from authproxy.pipeline.push_limit import Alert


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
    from authproxy.protocols.shared_state import NodeKeys  # noqa: PLC0415

    main = config.main
    keys = [key for key in (main.challenge_key, main.challenge_key_before) if key is not None]
    link = Link(settings_of(options), reactor=reactor, resolver=resolver, log=log, certificates=certificates)
    store = Store(
        link,
        NodeKeys(keys, options.prefix),
        nodes=options.nodes,
        reactor=reactor,
        log=log,
        alert=alert,
        joined=metrics.shared_state(lambda: link.is_up),
    )
    link.changed = store.came_up
    return store
