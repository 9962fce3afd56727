"""What is counted and measured. Names don't change, and the values of each label are few and known beforehand."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from authproxy import __version__
from authproxy.observe.families import Collector
from authproxy.observe.process import ProcessCollector
from authproxy.observe.scraped import Scraped
from authproxy.observe.series import Asked, Count, Counts, Durations
from authproxy.observe.writer import LineWriter
from authproxy.pipeline.patience import ClientPatience

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Seconds. A directory answers in milliseconds; a person answers in seconds, and the cloud gives them a minute.
_PRIMARY_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_CLOUD_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0)
_LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

C = TypeVar("C", bound=Collector)

_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MOST_CAUSES = 64
# What may open a door, and so is worth a series before it happens: an alert needs a zero to rise from.
_OPENING = ("unreachable", "server_error", "slow")


class SectionMetrics:
    """The series of one section, looked up once."""

    def __init__(self, metrics: Metrics, section: str) -> None:
        self._metrics = metrics
        self._section = section
        self._decisions = metrics.decisions
        self.primary_seconds: Callable[[float], None] = metrics.primary.labels(section).observe
        self.cloud_seconds: Callable[[float], None] = metrics.cloud.labels(section).observe
        for cause in _OPENING:
            metrics.fail_open.labels(section, cause)

    def decided(self, decision: str, reason: str) -> None:
        self._decisions.labels(self._section, decision, reason).inc()

    def failed_closed(self, why: str) -> None:
        self._metrics.fail_closed.labels(self._section, self._metrics.known_cause(why)).inc()

    def failed_open(self, cause: str) -> None:
        self._metrics.fail_open.labels(self._section, self._metrics.known_cause(cause)).inc()


class Metrics:
    """All series of the process."""

    def __init__(self) -> None:
        self._collectors: list[Collector] = []
        self.decisions = self._counts(
            "authproxy_decisions",
            "Logins decided, by section, decision and reason.",
            "section",
            "decision",
            "reason",
        )
        self.fail_open = self._counts(
            "authproxy_fail_open",
            "Logins let in without a second factor because the cloud couldn't be reached, by section and cause.",
            "section",
            "cause",
        )
        self.fail_closed = self._counts(
            "authproxy_fail_closed",
            "Logins with a right password that an outage kept out, by section and what kept them out; silent: they "
            "got no answer.",
            "section",
            "why",
        )
        self.primary = self._durations(
            "authproxy_primary_seconds", "How long the primary took to answer.", _PRIMARY_BUCKETS, "section"
        )
        self.cloud = self._durations(
            "authproxy_cloud_seconds",
            "How long the second step took: the cloud's calls and the user's own time.",
            _CLOUD_BUCKETS,
            "section",
        )
        self._pending = self._asked(
            "authproxy_pending_logins",
            "Logins in progress.",
            "section",
        )
        self._discarded = self._counts(
            "authproxy_radius_discarded",
            "Datagrams that were not answered, by cause.",
            "cause",
        )
        self._disconnected = self._counts(
            "authproxy_ldap_disconnected",
            "LDAP connections that the proxy closed, by cause.",
            "cause",
        )
        self._connections = self._asked(
            "authproxy_ldap_connections",
            "Open LDAP connections.",
            "address",
        )
        self._radsec_disconnected = self._counts(
            "authproxy_radsec_disconnected",
            "RadSec connections that the proxy refused or closed, by cause.",
            "cause",
        )
        self._radsec_connections = self._asked(
            "authproxy_radsec_connections",
            "Open RadSec connections.",
            "address",
        )
        self._tunnels_refused = self._counts(
            "authproxy_http_proxy_refused",
            "Tunnels that http_proxy refused, by cause.",
            "cause",
        )
        self._tunnels = self._asked(
            "authproxy_http_proxy_tunnels",
            "Tunnels through http_proxy.",
            "address",
        )
        self._breaker = self._asked(
            "authproxy_breaker_open",
            "1 while the breaker of this cloud service is open: it isn't asked, and failmode decides.",
            "api_host",
        )
        self._slow = self._asked(
            "authproxy_cloud_slow",
            "1 while this cloud service answers too slowly, and a probe finds it slow too.",
            "api_host",
        )
        self._latency = self._asked(
            "authproxy_cloud_latency_seconds",
            "How long answers of this cloud service took lately, without the time of its users.",
            "api_host",
        )
        self._door = self._asked(
            "authproxy_door_open",
            "1 while an outage lets users of this section in on their password alone.",
            "section",
        )
        self._primary_only = self._asked(
            "authproxy_primary_only",
            "1 while primary-only is on in this section: it asks for no second factor.",
            "section",
        )
        self._alarms = self._counts(
            "authproxy_alarms",
            "Alarms raised, by kind, whether sent or held back.",
            "kind",
        )
        lag = self._durations(
            "authproxy_event_loop_lag_seconds", "How late the event loop was.", _LAG_BUCKETS
        )
        self.loop_lag: Callable[[float], None] = lag.labels().observe
        build = self._asked(
            "authproxy_build_info", "Always 1; the labels say which version runs.", "version", "python"
        )
        build.ask(__version__, platform.python_version(), of=lambda: 1)
        self._by_cause: dict[str, Count] = {}
        self._causes: set[str] = set()
        self._ports: dict[tuple[Asked, str], Callable[[], int]] = {}
        self._scraped = self._kept(Scraped())
        self._kept(ProcessCollector())

    def _counts(self, name: str, text: str, *labels: str) -> Counts:
        return self._kept(Counts(name, text, labels))

    def _asked(self, name: str, text: str, *labels: str) -> Asked:
        return self._kept(Asked(name, text, labels))

    def _durations(self, name: str, text: str, bounds: Sequence[float], *labels: str) -> Durations:
        return self._kept(Durations(name, text, labels, bounds))

    def _kept(self, collector: C) -> C:
        self._collectors.append(collector)
        return collector

    def section(self, name: str) -> SectionMetrics:
        return SectionMetrics(self, name)

    def radius_discarded(self, cause: str) -> None:
        """Implements the RADIUS listener's Discards."""
        counter = self._by_cause.get(cause)
        if counter is None:
            counter = self._discarded.labels(self.known_cause(cause))
            if len(self._by_cause) < _MOST_CAUSES:
                self._by_cause[cause] = counter
        counter.inc()

    def ldap_disconnected(self, cause: str) -> None:
        """Implements the LDAP listener's Disconnects."""
        self._disconnected.labels(self.known_cause(cause)).inc()

    def radsec_disconnected(self, cause: str) -> None:
        """Implements the RadSec listener's Disconnects."""
        self._radsec_disconnected.labels(self.known_cause(cause)).inc()

    def tunnel_refused(self, cause: str) -> None:
        """Implements the HTTP proxy's Refusals."""
        self._tunnels_refused.labels(self.known_cause(cause)).inc()

    def known_cause(self, cause: str) -> str:
        """The cause as a label. Causes come from code, not from peers; this makes sure that they stay few."""
        if cause in self._causes:
            return cause
        if len(self._causes) >= _MOST_CAUSES or not _WORD.fullmatch(cause):
            return "other"
        self._causes.add(cause)
        return cause

    # ---- what is asked when somebody looks

    def pending(self, section: str, count: Callable[[], int]) -> None:
        self._pending.ask(section, of=count)

    def ldap_connections(self, address: str, count: Callable[[], int]) -> Callable[[], None]:
        """`address`: the port's, as HOST:PORT. Returns what to call when the port is closed."""
        return self._of_port(self._connections, address, count)

    def radsec_connections(self, address: str, count: Callable[[], int]) -> Callable[[], None]:
        """`address`: the port's, as HOST:PORT. Returns what to call when the port is closed."""
        return self._of_port(self._radsec_connections, address, count)

    def http_proxy_tunnels(self, address: str, count: Callable[[], int]) -> Callable[[], None]:
        """`address`: the port's, as HOST:PORT. Returns what to call when the port is closed."""
        return self._of_port(self._tunnels, address, count)

    def _of_port(self, gauge: Asked, address: str, count: Callable[[], int]) -> Callable[[], None]:
        gauge.ask(address, of=count)
        self._ports[gauge, address] = count

        def gone() -> None:
            # Unless by now another port has the address.
            if self._ports.get((gauge, address)) is count:
                del self._ports[gauge, address]
                gauge.forget(address)

        return gone

    def section_gone(self, section: str) -> None:
        """A reload has removed it. What was counted of it stays."""
        for gauge in (self._pending, self._door, self._primary_only):
            gauge.forget(section)

    def cloud_gone(self, api_host: str) -> None:
        """No section asks it any more."""
        for gauge in (self._breaker, self._slow, self._latency):
            gauge.forget(api_host)

    def breaker(self, api_host: str, is_open: Callable[[], bool]) -> None:
        self._breaker.ask(api_host, of=is_open)

    def pace(self, api_host: str, is_slow: Callable[[], bool], latency: Callable[[], float]) -> None:
        self._slow.ask(api_host, of=is_slow)
        self._latency.ask(api_host, of=latency)

    def door(self, section: str, is_open: Callable[[], bool], is_primary_only: Callable[[], bool]) -> None:
        self._door.ask(section, of=is_open)
        self._primary_only.ask(section, of=is_primary_only)

    def shared_state(self, is_up: Callable[[], bool]) -> Callable[[], None]:
        """Returns what to call for each login that got another node's verdict."""
        self._asked(
            "authproxy_shared_state_up",
            "1 while the nodes act as one; 0: their store is out of reach, and each decides alone.",
        ).ask(of=is_up)
        joined = self._counts(
            "authproxy_logins_joined", "Logins that got the verdict of a prompt at another node."
        )
        return joined.labels().inc

    def alarm(self, kind: str) -> None:
        self._alarms.labels(kind).inc()

    def alarm_hooks(
        self, hooks: Callable[[], Iterable[tuple[str, int, int]]], held_back: Callable[[], int]
    ) -> None:
        """`hooks` gives (name, alarms delivered, alarms lost) of each."""
        self._scraped.hooks = hooks
        self._scraped.held_back = held_back

    def radius_clients(self, clients: Callable[[], Iterable[tuple[str, str, int, int, bool]]]) -> None:
        """`clients` gives (section, client, requests with Message-Authenticator, without, latched) of each."""
        self._scraped.clients = clients

    def certificates(self, expiries: Callable[[], Iterable[tuple[str, float]]]) -> None:
        """`expiries` gives (name, notAfter in seconds since 1970) of each certificate in play."""
        self._scraped.expiries = expiries

    def patiences(self, report: Callable[[], Iterable[ClientPatience]]) -> None:
        """`report` gives what is known of each RADIUS client."""
        self._scraped.patiences = report

    def outlet(self, writer: LineWriter) -> None:
        """A log or the audit: what it lost, whether it fails."""
        self._scraped.writers.append(writer)

    def udp_socket(self, address: str, descriptor: int) -> None:
        """A listening socket whose drops are watched (A18). `address` names it, as HOST:PORT."""
        self._scraped.sockets.add(address, descriptor)

    def render(self) -> bytes:
        """The page of GET /metrics."""
        from authproxy.observe.exposition import page  # noqa: PLC0415 - it says why

        return page(self._collectors)
