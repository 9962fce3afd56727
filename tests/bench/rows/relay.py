"""Rows 7 and 9: searches through the LDAP relay, beside slapd itself and haproxy as a TCP relay in between."""

from __future__ import annotations

import shutil
import statistics
import sys
from dataclasses import dataclass

from tests.bench.figures import Figure, Ratios, at_least, at_most, percentile
from tests.bench.ldap_clients import RATE, Client, paced, searches
from tests.bench.process import UNDER_TEST, Process, wait_for
from tests.bench.rig import ADMIN_DN, ADMIN_PASSWORD, IKEY, PEOPLE_DN, SKEY, Rig, free_port, listens
from tests.bench.rows import Plan
from tests.bench.servers import ROOT

IDLE = 1000

_CONFIGURATION = """\
main: {{log_dir: {folder}/log, state_dir: {folder}/state}}
ad_client:
  host: 127.0.0.1
  port: {ldap_port}
  transport: clear
  auth_type: plain
  bind_dn: {admin}
  service_account_password: {password}
  search_dn: {people}
  username_attribute: uid
ldap_server_auto:
  ikey: {ikey}
  skey: {skey}
  api_host: localhost
  api_port: {cloud.port}
  api_ca_certs_file: {cloud.ca}
  allow_local_api: true
  failmode: secure
  interface: 127.0.0.1
  port: {port}
  max_connections_per_client: 10000
  exempt_primary_bind: {exempt}
"""
_HAPROXY = """\
global
  nbthread 1
  maxconn 4000
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen ldap
  bind 127.0.0.1:{port}
  server slapd 127.0.0.1:{ldap_port}
"""


@dataclass(frozen=True, slots=True)
class Path:
    """A way to the directory; `process` is what stands in it, None for nothing."""

    name: str
    port: int
    process: Process | None


def measure(plan: Plan) -> list[Figure]:
    rig = plan.rig
    ours = start_authproxy(rig, rig.slapd)
    paths = [Path("direct", rig.slapd, None), ours]
    if shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin"):
        paths.append(_haproxy(rig))
    seconds = plan.choose(3, 1)
    speeds: dict[str, list[float]] = {path.name: [] for path in paths}
    delays: dict[str, list[float]] = {path.name: [] for path in paths}
    tails: dict[str, list[float]] = {path.name: [] for path in paths}
    cpu: list[float] = []
    for number in range(plan.rounds):
        turn = number % len(paths)
        for path in paths[turn:] + paths[:turn]:
            before = path.process.cpu_seconds() if path.process else 0.0
            found = searches(path.port, seconds)
            if path is ours and path.process:
                cpu.append((path.process.cpu_seconds() - before) / found * 1e6)
            speeds[path.name].append(found / seconds)
            latencies = paced(path.port, plan.choose(1000, 200))
            delays[path.name].append(statistics.median(latencies))
            tails[path.name].append(percentile(latencies, 0.99))
    figures = [*_speed(speeds, cpu), *_delay(delays, tails), _idle(ours)]
    for path in paths:
        if path.process:
            path.process.stop()
    return figures


def _speed(speeds: dict[str, list[float]], cpu: list[float]) -> list[Figure]:
    share = Ratios.of(speeds["authproxy"], speeds["direct"])
    told = f"{statistics.median(speeds['direct']):.0f}/s direct; {statistics.median(cpu):.0f} µs of processor each"
    figures = [
        Figure(
            7,
            "relayed searches/s ÷ direct slapd",
            share.median,
            "×",
            at_least(0.75, 0.85, slack=1.5),
            share.spread,
            told,
        )
    ]
    if "haproxy" in speeds:
        peer = Ratios.of(speeds["haproxy"], speeds["direct"])
        figures.append(Figure(7, "haproxy's searches/s ÷ direct slapd", peer.median, "×", spread=peer.spread))
    return figures


def _delay(delays: dict[str, list[float]], tails: dict[str, list[float]]) -> list[Figure]:
    middle = {name: statistics.median(each) for name, each in delays.items()}
    added = {name: (each - middle["direct"]) * 1000 for name, each in middle.items()}
    tail = {name: statistics.median(each) * 1000 for name, each in tails.items()}
    figures = [
        Figure(
            9,
            f"added p50 at {RATE} searches/s",
            added["authproxy"],
            "ms",
            at_most(0.35, 0.2, slack=3),
            remark=f"p99 {tail['authproxy']:.2f} ms, direct {tail['direct']:.2f} ms",
        )
    ]
    if "haproxy" in added:
        figures.append(
            Figure(9, "haproxy's added p50", added["haproxy"], "ms", remark=f"p99 {tail['haproxy']:.2f} ms")
        )
    return figures


def _idle(ours: Path) -> Figure:
    """Each has its connection to the directory, too."""
    assert ours.process is not None
    before = ours.process.rss_kib()
    clients = []
    for _ in range(IDLE):
        clients.append(Client(ours.port))
        clients[-1].root()
    each = (ours.process.rss_kib() - before) / IDLE
    for client in clients:
        client.socket.close()
    return Figure(7, f"memory of an idle LDAP connection, of {IDLE}", each, "KiB")


# ---- what stands between


def start_authproxy(rig: Rig, ldap_port: int, name: str = "authproxy-ldap", *, exempt: bool = False) -> Path:
    """`exempt`: what is measured is the relay, and no login."""
    folder, port = rig.folder / name, free_port()
    for part in ("log", "state"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    configuration = folder / "authproxy.yaml"
    configuration.touch(mode=0o600)
    configuration.write_text(
        _CONFIGURATION.format(
            folder=folder,
            port=port,
            ldap_port=ldap_port,
            exempt=str(exempt).lower(),
            cloud=rig.cloud,
            admin=ADMIN_DN,
            password=ADMIN_PASSWORD,
            people=PEOPLE_DN,
            ikey=IKEY,
            skey=SKEY,
        )
    )
    command = [sys.executable, "-m", "authproxy", "run", "-c", configuration]
    output = rig.folder / f"{name}.log"
    process = rig.adopt(Process(command, cpu=UNDER_TEST, output=output, raise_files=False, cwd=ROOT))
    wait_for("authproxy's LDAP port", lambda: listens(port), process)
    return Path("authproxy", port, process)


def _haproxy(rig: Rig) -> Path:
    port, configuration = free_port(), rig.folder / "haproxy.cfg"
    configuration.write_text(_HAPROXY.format(port=port, ldap_port=rig.slapd))
    command = ["haproxy", "-f", configuration, "-db"]
    process = rig.adopt(Process(command, cpu=UNDER_TEST, output=rig.folder / "haproxy.log"))
    wait_for("haproxy", lambda: listens(port), process)
    return Path("haproxy", port, process)
