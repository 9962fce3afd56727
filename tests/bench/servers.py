"""The servers that answer RADIUS in a measurement: authproxy and its peers, each on the processor under test."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.peers import freeradius, naive
from tests.bench.process import AROUND_IT, UNDER_TEST, Process, wait_for
from tests.bench.rig import (
    ADMIN_DN,
    ADMIN_PASSWORD,
    IKEY,
    PEOPLE_DN,
    SKEY,
    Cloud,
    Rig,
    free_port,
    takes_datagrams,
)
from tests.bench.tools import SECRET, Logins, radload

ROOT = Path(__file__).parents[2]
START = 15.0  # seconds that a server may take to its first answer


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    port: int
    process: Process

    def wait(self) -> Server:
        """Until a whole login is answered, right to the end."""
        wait_for(f"{self.name}'s port", lambda: takes_datagrams(self.port), self.process, START)
        if radload(self.port, Logins(1, give_up=START, at_most=START)).accepted != 1:
            self.process.expect_alive()
            raise RuntimeError(f"{self.name} does not answer:\n{self.process.said()[-3000:]}")
        return self

    def stop(self) -> None:
        self.process.stop()


def _free_udp_port() -> int:
    return free_port(socket.SOCK_DGRAM)


def start_authproxy(rig: Rig, name: str, *, ldap_port: int, cloud: Cloud, store: int = 0) -> Server:
    """The real daemon, as an administrator would start it. `store`: the port of a Redis server that nodes share."""
    primary = _AD_CLIENT.format(ldap_port=ldap_port, **_NAMES)
    if not store:
        return _authproxy(rig, name, cloud, primary)
    return _authproxy(rig, name, cloud, primary + _SHARED.format(store=store), main=_KEY)


@contextlib.contextmanager
def start_redis(rig: Rig) -> Iterator[Server]:
    """What nodes share, on the processor around them."""
    port = free_port(socket.SOCK_STREAM)
    command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = Process(command, cpu=AROUND_IT, output=rig.folder / "redis.log")
    server = _started(rig, Server("redis", port, process))
    wait_for("redis", lambda: "Ready to accept" in process.said(), process, START)
    try:
        yield server
    finally:
        server.stop()


def start_authproxy_relay(rig: Rig, name: str, *, radius_port: int, cloud: Cloud, users: int) -> Server:
    """The same before a RADIUS server. So many users are exempt from the second factor: what is left is relaying."""
    exempt = ", ".join(f"user{number:05d}" for number in range(users))
    primary = _RADIUS_CLIENT.format(radius_port=radius_port, **_NAMES)
    return _authproxy(rig, name, cloud, primary, f"  exempt_usernames: [{exempt}]\n")


def _authproxy(rig: Rig, name: str, cloud: Cloud, primary: str, more: str = "", *, main: str = "") -> Server:
    folder, port = rig.folder / name, _free_udp_port()
    for part in ("log", "state"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    configuration = folder / "authproxy.yaml"
    configuration.touch(mode=0o600)
    server = _AUTHPROXY.format(folder=folder, port=port, cloud=cloud, main=main, **_NAMES)
    configuration.write_text(primary + server + more)
    command = [sys.executable, "-m", "authproxy", "run", "-c", configuration]
    output = rig.folder / f"{name}.log"
    process = Process(command, cpu=UNDER_TEST, output=output, raise_files=False, cwd=ROOT)
    return _started(rig, Server(name, port, process))


def start_freeradius(
    rig: Rig, name: str, *, ldap_port: int, cloud: Cloud, calls: int, threads: int = 32
) -> Server:
    port = _free_udp_port()
    command = freeradius.configure(
        rig.folder / name, port=port, ldap_port=ldap_port, cloud=cloud, calls=calls, threads=threads
    )
    process = Process(command, cpu=UNDER_TEST, output=rig.folder / f"{name}.log")
    return _started(rig, Server(name, port, process))


def start_freeradius_relay(rig: Rig, name: str, *, radius_port: int, threads: int = 32) -> Server:
    port = _free_udp_port()
    command = freeradius.configure_relay(
        rig.folder / name, port=port, radius_port=radius_port, threads=threads
    )
    process = Process(command, cpu=UNDER_TEST, output=rig.folder / f"{name}.log")
    return _started(rig, Server(name, port, process))


def start_naive(
    rig: Rig, name: str, *, ldap_port: int, cloud: Cloud, search: bool = True, calls: int = 3
) -> Server:
    port = _free_udp_port()
    settings = naive.Settings(
        port=port,
        secret=SECRET,
        ldap_port=ldap_port,
        https_port=cloud.port,
        ca=str(cloud.ca),
        ikey=IKEY,
        skey=SKEY,
        admin_dn=ADMIN_DN,
        admin_password=ADMIN_PASSWORD,
        people_dn=PEOPLE_DN,
        search=search,
        calls=calls,
    )
    command = [sys.executable, "-m", "tests.bench.peers.naive", json.dumps(asdict(settings))]
    process = Process(command, cpu=UNDER_TEST, output=rig.folder / f"{name}.log", cwd=ROOT)
    return _started(rig, Server(name, port, process))


def _started(rig: Rig, server: Server) -> Server:
    rig.adopt(server.process)
    return server


_NAMES = {
    "people": PEOPLE_DN,
    "admin": ADMIN_DN,
    "admin_password": ADMIN_PASSWORD,
    "ikey": IKEY,
    "skey": SKEY,
    "secret": SECRET,
}

_AD_CLIENT = """\
ad_client:
  host: 127.0.0.1
  port: {ldap_port}
  transport: clear
  auth_type: plain
  bind_dn: {admin}
  service_account_password: {admin_password}
  search_dn: {people}
  username_attribute: uid
"""
_KEY = f"  challenge_key: {'0123456789abcdef' * 3}\n"
_SHARED = """\
shared_state:
  host: 127.0.0.1
  port: {store}
  transport: clear
"""
_RADIUS_CLIENT = """\
radius_client:
  host: 127.0.0.1
  port: {radius_port}
  secret: {secret}
"""
_AUTHPROXY = """\
main:
  log_dir: {folder}/log
  state_dir: {folder}/state
{main}radius_server_auto:
  name: bench
  ikey: {ikey}
  skey: {skey}
  api_host: localhost
  api_port: {cloud.port}
  api_ca_certs_file: {cloud.ca}
  allow_local_api: true
  failmode: secure
  interface: 127.0.0.1
  port: {port}
  max_pending_per_client: 16384
  clients:
    - {{name: bench, ip: 127.0.0.1, secret: {secret}}}
"""
