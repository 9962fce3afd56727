"""Metrics whose values are asked for when somebody scrapes: certificates, logs, alarms, clients, dropped datagrams."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from authproxy.observe.udp_drops import SocketInodes, read_drops
from authproxy.observe.writer import LineWriter
from authproxy.pipeline.patience import ClientPatience


class Scraped:
    """A collector of the registry. Its attributes are set by Metrics."""

    def __init__(self) -> None:
        self.expiries: Callable[[], Iterable[tuple[str, float]]] = tuple
        self.patiences: Callable[[], Iterable[ClientPatience]] = tuple
        self.writers: list[LineWriter] = []
        self.hooks: Callable[[], Iterable[tuple[str, int, int]]] = tuple
        self.clients: Callable[[], Iterable[tuple[str, str, int, int, bool]]] = tuple
        self.held_back: Callable[[], int] = lambda: 0
        self.sockets = SocketInodes()

    def collect(self) -> Iterator[Metric]:
        certificates = GaugeMetricFamily(
            "authproxy_certificate_expiry_seconds",
            "Seconds until this certificate expires; negative: it has.",
            labels=("name",),
        )
        now = time.time()
        for name, not_after in self.expiries():
            certificates.add_metric((name,), not_after - now)
        yield certificates
        yield from self._of_clients()
        lost = CounterMetricFamily(
            "authproxy_log_lines_lost", "Lines of a log or the audit that were lost.", labels=("outlet",)
        )
        failing = GaugeMetricFamily(
            "authproxy_log_outlet_failing",
            "1 while a log or the audit can't be written.",
            labels=("outlet",),
        )
        for writer in self.writers:
            lost.add_metric((writer.name,), writer.lost)
            failing.add_metric((writer.name,), 1 if writer.problem else 0)
        yield lost
        yield failing
        yield from self._alarms()
        yield from self._clients()
        drops = CounterMetricFamily(
            "authproxy_udp_dropped",
            "Datagrams that the kernel dropped because this socket's buffer was full.",
            labels=("address",),
        )
        for address, count in read_drops(self.sockets).items():
            drops.add_metric((address,), count)
        yield drops

    def _alarms(self) -> Iterator[Metric]:
        sent = CounterMetricFamily(
            "authproxy_alarms_delivered",
            "Alarms that a hook delivered, and that were lost.",
            labels=("hook", "outcome"),
        )
        for name, delivered, lost in self.hooks():
            sent.add_metric((name, "delivered"), delivered)
            sent.add_metric((name, "lost"), lost)
        yield sent
        held_back = CounterMetricFamily(
            "authproxy_alarms_held_back", "Alarms that were held back, because there were too many."
        )
        held_back.add_metric((), self.held_back())
        yield held_back

    def _clients(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "authproxy_radius_client_requests",
            "Access-Requests of a client, but not EAP's, with and without Message-Authenticator, accepted or not.",
            labels=("section", "client", "message_authenticator"),
        )
        latched = GaugeMetricFamily(
            "authproxy_radius_client_latched",
            "1 once a client has sent a Message-Authenticator, and has to from then on.",
            labels=("section", "client"),
        )
        for section, client, signed, unsigned, held in self.clients():
            requests.add_metric((section, client, "yes"), signed)
            requests.add_metric((section, client, "no"), unsigned)
            latched.add_metric((section, client), held)
        yield requests
        yield latched

    def _of_clients(self) -> Iterator[Metric]:
        gap = GaugeMetricFamily(
            "authproxy_client_asks_every_seconds",
            "How long this RADIUS client waits before it repeats a request.",
            labels=("client",),
        )
        gives_up = GaugeMetricFamily(
            "authproxy_client_gives_up_seconds",
            "After how long this RADIUS client was seen to give up; below 60, it gives up before pushes are answered.",
            labels=("client",),
        )
        for client in self.patiences():
            if client.gap is not None:
                gap.add_metric((client.client,), client.gap)
            if client.gives_up is not None:
                gives_up.add_metric((client.client,), client.gives_up)
        yield gap
        yield gives_up
