"""The names that dashboards and alerts rely on, read back by the client library's own parser."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from authproxy.observe.metrics import Metrics
from authproxy.observe.udp_drops import SocketInodes, read_drops
from authproxy.observe.writer import LineWriter
from tests.observe.fakes import Paper, Told


def values(metrics: Metrics) -> dict[str, float]:
    """`name{label=value,…}` to value."""
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_every_promised_series() -> None:
    metrics = Metrics()
    vpn = metrics.section("vpn")
    vpn.decided("accept", "both_factors")
    vpn.decided("accept", "both_factors")
    vpn.failed_open("unreachable")
    vpn.primary_seconds(0.003)
    vpn.cloud_seconds(7.0)
    metrics.radius_discarded("unknown_client")
    metrics.pending("vpn", lambda: 7)
    metrics.breaker("api.example", lambda: True)
    metrics.certificates(lambda: [("api.example", time.time() + 1000.5)])
    metrics.loop_lag(0.0001)
    found = values(metrics)
    assert found["authproxy_decisions_total{decision=accept,reason=both_factors,section=vpn}"] == 2
    assert found["authproxy_fail_open_total{cause=unreachable,section=vpn}"] == 1
    assert found["authproxy_fail_open_total{cause=server_error,section=vpn}"] == 0
    assert found["authproxy_primary_seconds_bucket{le=0.005,section=vpn}"] == 1
    assert found["authproxy_cloud_seconds_bucket{le=5.0,section=vpn}"] == 0
    assert found["authproxy_cloud_seconds_sum{section=vpn}"] == 7
    assert found["authproxy_radius_discarded_total{cause=unknown_client}"] == 1
    assert found["authproxy_pending_logins{section=vpn}"] == 7
    assert found["authproxy_breaker_open{api_host=api.example}"] == 1
    assert 900 < found["authproxy_certificate_expiry_seconds{name=api.example}"] < 1001
    assert found["authproxy_event_loop_lag_seconds_count{}"] == 1
    assert [value for name, value in found.items() if name.startswith("authproxy_build_info{")] == [1]
    assert found["process_resident_memory_bytes{}"] > 1_000_000
    assert found["process_open_fds{}"] >= 3
    assert "created" not in str(found)


def test_labels_stay_few() -> None:
    metrics = Metrics()
    for number in range(10_000):
        metrics.radius_discarded(f"cause_{number}")
        metrics.radius_discarded(f'user"{number}\n')
    causes = [name for name in values(metrics) if name.startswith("authproxy_radius_discarded_total")]
    assert len(causes) == 65
    assert values(metrics)["authproxy_radius_discarded_total{cause=other}"] == 10_000 + 10_000 - 64


def test_a_failing_outlet_shows(tmp_path: Path) -> None:
    paper, told = Paper(problem=OSError(28, "full")), Told()
    writer = LineWriter(paper, name="audit", told=told, gap=lambda count, problem: b"", capacity=1)
    metrics = Metrics()
    metrics.outlet(writer)
    writer.put(b"0")
    assert told.failed.wait(5)
    writer.put(b"1")
    found = values(metrics)
    assert found["authproxy_log_lines_lost_total{outlet=audit}"] == 1
    assert found["authproxy_log_outlet_failing{outlet=audit}"] == 1
    writer.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_kernels_drops(host: str) -> None:
    """A18: a burst that nobody reads fills the buffer, and the drops are seen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    metrics = Metrics()
    with (
        socket.socket(family, socket.SOCK_DGRAM) as receiver,
        socket.socket(family, socket.SOCK_DGRAM) as sender,
    ):
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        receiver.bind((host, 0))
        metrics.udp_socket("radius", receiver.fileno())
        assert values(metrics)["authproxy_udp_dropped_total{address=radius}"] == 0
        for _ in range(200):
            sender.sendto(b"x" * 500, receiver.getsockname())
        assert values(metrics)["authproxy_udp_dropped_total{address=radius}"] > 100


def test_a_table_that_cannot_be_read_is_no_error(tmp_path: Path) -> None:
    sockets = SocketInodes()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sockets.add("radius", sock.fileno())
        sockets.add("radius", sock.fileno())
    assert len(sockets) == 1
    (tmp_path / "udp").write_text("header\nshort row\n")
    assert read_drops(sockets, (tmp_path / "udp", tmp_path / "none")) == {}


def test_what_a_reload_has_removed() -> None:
    """Gauges go; what was counted has happened."""
    metrics = Metrics()
    for section, host in (("vpn", "api.example"), ("old", "old.example")):
        metrics.section(section).decided("accept", "both_factors")
        metrics.pending(section, lambda: 0)
        metrics.door(section, lambda: False, lambda: False)
        metrics.breaker(host, lambda: False)
        metrics.pace(host, lambda: False, lambda: 0.1)
    before = values(metrics)
    metrics.section_gone("old")
    metrics.cloud_gone("old.example")
    assert before.keys() - values(metrics).keys() == {
        "authproxy_pending_logins{section=old}",
        "authproxy_door_open{section=old}",
        "authproxy_primary_only{section=old}",
        "authproxy_breaker_open{api_host=old.example}",
        "authproxy_cloud_slow{api_host=old.example}",
        "authproxy_cloud_latency_seconds{api_host=old.example}",
    }
    metrics.section_gone("never there")


def test_a_port_that_is_closed() -> None:
    """Unless another has its address by then: it was removed, and put back while somebody was still connected."""
    metrics = Metrics()
    series = "authproxy_ldap_connections{address=127.0.0.1:636}"
    first = metrics.ldap_connections("127.0.0.1:636", lambda: 1)
    second = metrics.ldap_connections("127.0.0.1:636", lambda: 2)
    first()
    assert values(metrics)[series] == 2
    second()
    assert series not in values(metrics)
