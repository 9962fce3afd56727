"""Metrics whose values are asked for when somebody scrapes: certificates, logs, alarms, clients, dropped datagrams."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from authproxy.observe.families import Family
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

    def collect(self) -> Iterator[Family]:
        certificates = Family(
            "gauge",
            "authproxy_certificate_expiry_seconds",
            "Seconds until this certificate expires; negative: it has.",
            labels=("name",),
        )
        now = time.time()
        for name, not_after in self.expiries():
            certificates.add((name,), not_after - now)
        yield certificates
        yield from self._of_clients()
        lost = Family(
            "counter",
            "authproxy_log_lines_lost",
            "Lines of a log or the audit that were lost.",
            labels=("outlet",),
        )
        failing = Family(
            "gauge",
            "authproxy_log_outlet_failing",
            "1 while a log or the audit can't be written.",
            labels=("outlet",),
        )
        for writer in self.writers:
            lost.add((writer.name,), writer.lost)
            failing.add((writer.name,), 1 if writer.problem else 0)
        yield lost
        yield failing
        yield from self._alarms()
        yield from self._clients()
        drops = Family(
            "counter",
            "authproxy_udp_dropped",
            "Datagrams that the kernel dropped because this socket's buffer was full.",
            labels=("address",),
        )
        for address, count in read_drops(self.sockets).items():
            drops.add((address,), count)
        yield drops

    def _alarms(self) -> Iterator[Family]:
        sent = Family(
            "counter",
            "authproxy_alarms_delivered",
            "Alarms that a hook delivered, and that were lost.",
            labels=("hook", "outcome"),
        )
        for name, delivered, lost in self.hooks():
            sent.add((name, "delivered"), delivered)
            sent.add((name, "lost"), lost)
        yield sent
        held_back = Family(
            "counter",
            "authproxy_alarms_held_back",
            "Alarms that were held back, because there were too many.",
        )
        held_back.add((), self.held_back())
        yield held_back

    def _clients(self) -> Iterator[Family]:
        requests = Family(
            "counter",
            "authproxy_radius_client_requests",
            "Access-Requests of a client, but not EAP's, with and without Message-Authenticator, accepted or not.",
            labels=("section", "client", "message_authenticator"),
        )
        latched = Family(
            "gauge",
            "authproxy_radius_client_latched",
            "1 once a client has sent a Message-Authenticator, and has to from then on.",
            labels=("section", "client"),
        )
        for section, client, signed, unsigned, held in self.clients():
            requests.add((section, client, "yes"), signed)
            requests.add((section, client, "no"), unsigned)
            latched.add((section, client), held)
        yield requests
        yield latched

    def _of_clients(self) -> Iterator[Family]:
        gap = Family(
            "gauge",
            "authproxy_client_asks_every_seconds",
            "How long this RADIUS client waits before it repeats a request.",
            labels=("client",),
        )
        gives_up = Family(
            "gauge",
            "authproxy_client_gives_up_seconds",
            "After how long this RADIUS client was seen to give up; below 60, it gives up before pushes are answered.",
            labels=("client",),
        )
        for client in self.patiences():
            if client.gap is not None:
                gap.add((client.client,), client.gap)
            if client.gives_up is not None:
                gives_up.add((client.client,), client.gives_up)
        yield gap
        yield gives_up
