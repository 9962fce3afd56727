"""Builds and serves an `http_proxy` section."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from authproxy.backends.cloud.connecting import NotConnected, connect
from authproxy.backends.cloud.opening import is_public
from authproxy.backends.resolve import NameUnresolved, Resolver
from authproxy.config.model import HttpProxy
from authproxy.config.options.addresses import Endpoint
from authproxy.listeners.descriptors import Descriptors
from authproxy.observe.log import Log
from authproxy.observe.metrics import Metrics
from authproxy.service.ports import http_proxy_endpoints
from authproxy.values import light_dataclass

if TYPE_CHECKING:
    from authproxy.listeners.http_proxy.listener import Dial, TunnelRules

_PATIENCE = 8.0  # seconds to look the cloud's name up and to connect


@light_dataclass(frozen=True, slots=True)
class HttpProxyPlan:
    """What a port serves."""

    rules: TunnelRules
    dial: Dial


def plans(
    sections: Mapping[str, HttpProxy], reactor: Any, resolver: Resolver
) -> dict[Endpoint, HttpProxyPlan]:
    return {
        endpoint: HttpProxyPlan(_rules(options), _dial(options, reactor, resolver))
        for options in sections.values()
        for endpoint in http_proxy_endpoints(options)
    }


def _rules(options: HttpProxy) -> TunnelRules:
    # Here and below: few daemons have such a section.
    from authproxy.listeners.http_proxy.listener import TunnelRules  # noqa: PLC0415

    return TunnelRules(
        section=options.name,
        host=options.api_host,
        port=options.api_port,
        clients=options.clients,
        idle=options.idle_timeout,
        most=options.max_connections,
        most_per_client=options.max_connections_per_client,
    )


def _dial(options: HttpProxy, reactor: Any, resolver: Resolver) -> Dial:
    from authproxy.protocols.http.tunnel import NoTunnel  # noqa: PLC0415

    async def dial() -> socket.socket:
        until = reactor.seconds() + _PATIENCE
        try:
            addresses = await resolver.addresses(options.api_host, _PATIENCE)
            if not options.allow_local_api and not all(map(is_public, addresses)):
                # F5: a name that was turned to this network must not turn us into the way into it.
                what = f"{options.api_host} is {', '.join(addresses)}, which isn't a public address"
                raise NoTunnel(HTTPStatus.FORBIDDEN, "untrusted", what)
            return await connect(reactor, addresses, options.api_port, max(0.0, until - reactor.seconds()))
        except (NameUnresolved, NotConnected) as problem:
            raise NoTunnel(HTTPStatus.BAD_GATEWAY, "unreachable", str(problem)) from None

    return dial


class HttpProxyPort:
    """A listening socket, and its tunnels."""

    def __init__(
        self,
        plan: HttpProxyPlan,
        sock: socket.socket,
        *,
        reactor: Any,
        log: Log,
        metrics: Metrics,
        descriptors: Descriptors,
    ) -> None:
        from authproxy.listeners.http_proxy.listener import HttpProxyListener  # noqa: PLC0415

        host, port = sock.getsockname()[:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.listener = HttpProxyListener(
            plan.rules, plan.dial, reactor=reactor, log=log, refusals=metrics, descriptors=descriptors
        )
        self._uncounted = metrics.http_proxy_tunnels(self.address, lambda: self.listener.tunnels)
        self._port = reactor.adoptStreamPort(sock.fileno(), sock.family, self.listener)
        sock.close()  # the reactor has its own of it

    def serve(self, plan: HttpProxyPlan) -> None:
        self.listener.serve(plan.rules, plan.dial)

    @property
    def pending(self) -> int:
        return self.listener.pending

    def drain(self) -> Deferred[None]:
        """Accept no new connection. The Deferred fires when the last one has ended."""
        self._port.stopListening()
        return self.listener.drain()

    def close(self) -> None:
        self._port.stopListening()
        self.listener.close()
        self._uncounted()
