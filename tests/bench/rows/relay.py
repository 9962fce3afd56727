"""Rows 7 and 9: searches through the LDAP relay, beside slapd itself and haproxy as a TCP relay in between."""

from __future__ import annotations

import selectors
import shutil
import socket
import statistics
import sys
import time
from dataclasses import dataclass

from authproxy.protocols.ldap.filter import Equality
from authproxy.protocols.ldap.requests import (
    BindRequest,
    Scope,
    SearchRequest,
    Simple,
    encode_request,
)
from authproxy.secret import Secret
from tests.bench.figures import Figure, Ratios, at_least, at_most, percentile
from tests.bench.process import UNDER_TEST, Process, wait_for
from tests.bench.rig import ADMIN_DN, ADMIN_PASSWORD, IKEY, PEOPLE_DN, SKEY, Rig, free_port, listens
from tests.bench.rows import Plan
from tests.bench.servers import ROOT
from tests.bench.tools import WrongAnswer

CONNECTIONS, OUTSTANDING = 8, 4
RATE = 500  # searches per second in row 9
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
    ours = _authproxy(rig)
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
            found = _searches(path.port, seconds)
            if path is ours and path.process:
                cpu.append((path.process.cpu_seconds() - before) / found * 1e6)
            speeds[path.name].append(found / seconds)
            latencies = _paced(path.port, plan.choose(1000, 200))
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
    clients = [_Client(ours.port) for _ in range(IDLE)]
    for client in clients:
        client.root()
    each = (ours.process.rss_kib() - before) / IDLE
    for client in clients:
        client.socket.close()
    return Figure(7, f"memory of an idle LDAP connection, of {IDLE}", each, "KiB")


# ---- what stands between


def _authproxy(rig: Rig) -> Path:
    folder, port = rig.folder / "authproxy-ldap", free_port()
    for part in ("log", "state"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    configuration = folder / "authproxy.yaml"
    configuration.touch(mode=0o600)
    configuration.write_text(
        _CONFIGURATION.format(
            folder=folder,
            port=port,
            ldap_port=rig.slapd,
            cloud=rig.cloud,
            admin=ADMIN_DN,
            password=ADMIN_PASSWORD,
            people=PEOPLE_DN,
            ikey=IKEY,
            skey=SKEY,
        )
    )
    command = [sys.executable, "-m", "authproxy", "run", "-c", configuration]
    output = rig.folder / "authproxy-ldap.log"
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


# ---- who asks


class _Client:
    """One connection. Every answer is compared, whole, with what it has to be."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._expected = b""
        self._got = b""

    def root(self) -> None:
        """Read the root DSE, which takes a connection to the directory."""
        self.socket.sendall(encode_request(1, SearchRequest("", Scope.BASE, attributes=("1.1",))))
        while b"\x65" not in self.socket.recv(4096):
            pass

    def bind(self, number: int) -> None:
        name = f"uid=user{number:05d},{PEOPLE_DN}"
        request = BindRequest(name, Simple(Secret(b"pass%05d" % number)))
        self.socket.sendall(encode_request(1, request))
        answer = self.socket.recv(4096)
        if b"\x61\x07\x0a\x01\x00" not in answer:
            raise WrongAnswer(f"the bind of {name}: {answer[:40]!r}")

    def learn(self, octets: bytes) -> None:
        """What has to come back for these requests: as it did the first time, with an entry for each."""
        self._requests = octets
        self.socket.sendall(octets)
        got = b""
        while got.count(b"\x65\x07\x0a\x01\x00") < OUTSTANDING:
            got += self.socket.recv(65536)
        if got.count(b"inetOrgPerson") != OUTSTANDING:
            raise WrongAnswer("no entry")
        self._expected = bytes(sorted(got))
        self._length = len(got)

    def ask(self) -> None:
        self._got = b""
        self.socket.sendall(self._requests)

    def answered(self) -> bool:
        """Takes what is there. Answers may come in any order, so the octets are compared sorted."""
        self._got += self.socket.recv(65536)
        if len(self._got) < self._length:
            return False
        if bytes(sorted(self._got)) != self._expected:
            raise WrongAnswer("another answer than the first time")
        return True


def _requests(number: int) -> bytes:
    return b"".join(
        encode_request(at, SearchRequest(PEOPLE_DN, Scope.SUBTREE, Equality("uid", b"user%05d" % number)))
        for at in range(2, 2 + OUTSTANDING)
    )


def _clients(port: int) -> list[_Client]:
    clients = []
    for number in range(CONNECTIONS):
        client = _Client(port)
        client.bind(number)
        client.learn(_requests(number))
        clients.append(client)
    return clients


def _searches(port: int, seconds: float) -> int:
    """As many as go, in so many seconds."""
    clients = _clients(port)
    found = 0
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.ask()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for key, _ in selector.select(5):
                if key.data.answered():
                    found += OUTSTANDING
                    key.data.ask()
    for client in clients:
        client.socket.close()
    return found


def _paced(port: int, count: int) -> list[float]:
    """Seconds of each of so many searches, one after the other at RATE."""
    client = _Client(port)
    client.bind(0)
    request = encode_request(2, SearchRequest(PEOPLE_DN, Scope.SUBTREE, Equality("uid", b"user00000")))
    latencies = []
    began = time.monotonic()
    for number in range(count):
        due = began + number / RATE
        while (left := due - time.monotonic()) > 0:
            time.sleep(left)
        sent = time.monotonic()
        client.socket.sendall(request)
        got = b""
        while b"\x65\x07\x0a\x01\x00" not in got:
            got += client.socket.recv(65536)
        latencies.append(time.monotonic() - sent)
    client.socket.close()
    return latencies
