"""Row 13: the embedded cloud: signed preauth calls, beside the same octets as a static reply of nginx; pushes held."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote

from authproxy.embedded.cloud.model import DeviceKind, Otp, Policy, Result, Status
from authproxy.embedded.cloud.otp import new_otp_secret
from authproxy.embedded.cloud.store.store import Store, open_store
from authproxy.protocols.cloud.signing import Signer, canonical_params
from tests.bench.figures import Figure, Ratios, at_least, at_most, exactly
from tests.bench.process import UNDER_TEST, Process, wait_for
from tests.bench.rig import Rig, free_port, listens
from tests.bench.rows import Plan
from tests.bench.servers import ROOT
from tests.bench.tools import WrongAnswer

_CONNECTIONS = 16
_TOGETHER = 32  # connections that are opened at once
_LIFE = 60.0  # seconds of a push, by the service's own default

_NGINX = """\
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000;
  default_type application/json;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {own.chain};
    ssl_certificate_key {own.key};
    ssl_protocols TLSv1.3;
    location / {{ return 200 '{reply}'; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Https:
    """A server under test."""

    name: str
    port: int
    process: Process


@dataclass(frozen=True, slots=True)
class Speed:
    per_second: float
    cpu_us: float  # of the server, for each call


def measure(plan: Plan) -> list[Figure]:
    rig, count = plan.rig, plan.choose(2000, 200)
    folder = rig.folder / "embedded-cloud"
    shutil.rmtree(folder, ignore_errors=True)
    store = open_store(folder, time.time)
    try:
        made = store.applications.add("bench", Policy())
        names = _people(store, count)
        signer = Signer(made.application.ikey, made.skey, "localhost")
        ours = _start_cloud(rig, folder)
        figures = _calls(plan, ours, signer)
        figures += asyncio.run(_held(rig, ours, store, signer, names))
        ours.process.stop()
    finally:
        store.close()
    return figures


def _people(store: Store, count: int) -> Sequence[str]:
    """user0 …, each with an authenticator and a page. Returns their names."""
    names = [f"user{number}" for number in range(count)]
    with store.database.change():
        for name in names:
            user = store.users.add(name)
            device = store.devices.add(
                user.user_id, DeviceKind.PHONE, name="iPhone", otp=Otp.TOTP, otp_secret=new_otp_secret()
            )
            store.devices.give_page(device.device_id)
    return names


def _start_cloud(rig: Rig, folder: Path) -> Https:
    """As an administrator would start it."""
    port, own = free_port(), rig.certificates
    command = [
        sys.executable, "-m", "authproxy", "cloud", "serve", "--data", folder, "--listen", f"127.0.0.1:{port}",
        "--certificate", own.chain, "--key", own.key,
    ]  # fmt: skip
    process = rig.adopt(Process(command, cpu=UNDER_TEST, output=rig.folder / "embedded-cloud.log", cwd=ROOT))
    wait_for("authproxy cloud", lambda: listens(port), process)
    return Https("authproxy cloud", port, process)


def _start_nginx(rig: Rig, reply: bytes) -> Https:
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        raise RuntimeError("nginx is not installed: see .ci/packages.txt")
    port, folder = free_port(), rig.folder / "nginx"
    folder.mkdir(exist_ok=True)
    file = folder / "nginx.conf"
    file.write_text(_NGINX.format(folder=folder, port=port, own=rig.certificates, reply=reply.decode()))
    command = [program, "-p", folder, "-c", file, "-e", folder / "error.log"]
    process = rig.adopt(Process(command, cpu=UNDER_TEST, output=rig.folder / "nginx.log"))
    wait_for("nginx", lambda: listens(port), process)
    return Https("nginx", port, process)


# ---- signed calls


def _calls(plan: Plan, ours: Https, signer: Signer) -> list[Figure]:
    request = _post(signer, "/auth/v2/preauth", {"username": "user0", "ipaddr": "192.0.2.7"})
    expected = asyncio.run(_first_body(plan.rig, ours, request))
    if json.loads(expected)["response"]["result"] != "auth":
        raise WrongAnswer(f"preauth: {expected!r}")
    peer = _start_nginx(plan.rig, expected)
    seconds = plan.choose(4, 1)
    taken: dict[str, list[Speed]] = {ours.name: [], peer.name: []}
    for number in range(plan.rounds):
        # Signed anew each round: the date must stay in the service's window.
        request = _post(signer, "/auth/v2/preauth", {"username": "user0", "ipaddr": "192.0.2.7"})
        for server in (ours, peer) if number % 2 else (peer, ours):
            taken[server.name].append(asyncio.run(_load(plan.rig, server, request, expected, seconds)))
    peer.process.stop()
    ratios = Ratios.of(*([1 / speed.cpu_us for speed in taken[name]] for name in (ours.name, peer.name)))
    figures = [
        Figure(13, "signed preauth calls/s ÷ nginx's static replies/s, per CPU-second", ratios.median, "×",
               at_least(0.02, 0.05, slack=2), ratios.spread),
    ]  # fmt: skip
    for name, speeds in taken.items():
        cpu = statistics.median(speed.cpu_us for speed in speeds)
        wall = statistics.median(speed.per_second for speed in speeds)
        remark = f"{1e6 / cpu:.0f} calls per CPU-second; {wall:.0f}/s met"
        figures.append(Figure(13, f"{name}: CPU per call", cpu, "µs CPU", remark=remark))
    return figures


def _head(signer: Signer, method: str, target: str, date: str, authorization: str, length: int) -> bytes:
    return (
        f"{method} {target} HTTP/1.1\r\nHost: {signer.host}\r\nDate: {date}\r\nAuthorization: {authorization}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def _post(signer: Signer, path: str, sent: dict[str, str]) -> bytes:
    body, date = json.dumps(sent).encode(), formatdate(usegmt=True)
    signed = signer.authorization(date=date, method="POST", path=path, body=body)
    return _head(signer, "POST", path, date, signed, len(body)) + body


def _poll(signer: Signer, txid: str) -> bytes:
    date, path = formatdate(usegmt=True), "/auth/v2/auth_status"
    params = canonical_params([("txid", txid)])
    signed = signer.authorization(date=date, method="GET", path=path, params=params)
    return _head(signer, "GET", f"{path}?txid={quote(txid)}", date, signed, 0)


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, rig: Rig, server: Https) -> _Connection:
        context = ssl.create_default_context(cafile=str(rig.certificates.ca))
        return cls(
            *await asyncio.open_connection("127.0.0.1", server.port, ssl=context, server_hostname="localhost")
        )

    async def ask(self, request: bytes) -> bytes:
        """The body of a 200. Raises WrongAnswer."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200 "):
            raise WrongAnswer(f"{head.splitlines()[0]!r} {body[:200]!r}")
        return body

    def close(self) -> None:
        self._writer.transport.abort()


async def _first_body(rig: Rig, server: Https, request: bytes) -> bytes:
    connection = await _Connection.open(rig, server)
    body = await connection.ask(request)
    connection.close()
    return body


async def _load(rig: Rig, server: Https, request: bytes, expected: bytes, seconds: float) -> Speed:
    """As many calls as there is time for, on kept connections; each answer has to be the right one."""
    connections = [await _Connection.open(rig, server) for _ in range(_CONNECTIONS)]
    began, cpu, until = time.monotonic(), server.process.cpu_seconds(), time.monotonic() + seconds

    async def call(connection: _Connection) -> int:
        done = 0
        while time.monotonic() < until:
            if await connection.ask(request) != expected:
                raise WrongAnswer(f"{server.name} answered something else")
            done += 1
        return done

    count = sum(await asyncio.gather(*map(call, connections)))
    spent, elapsed = server.process.cpu_seconds() - cpu, time.monotonic() - began
    for connection in connections:
        connection.close()
    return Speed(count / elapsed, spent / count * 1e6)


# ---- transactions held


async def _held(rig: Rig, ours: Https, store: Store, signer: Signer, names: Sequence[str]) -> list[Figure]:
    """A push for each user and a poll that is held for each; another process then approves every one."""
    connections = await _open_all(rig, ours, len(names))
    before, count = ours.process.rss_kib(), len(names)
    txids = []
    for name, connection in zip(names, connections, strict=True):
        sent = {"username": name, "factor": "push", "device": "auto", "async": "1"}
        told = json.loads(await connection.ask(_post(signer, "/auth/v2/auth", sent)))
        txids.append(told["response"]["txid"])
    asked = list(zip(connections, txids, strict=True))
    for connection, txid in asked:  # the first poll is answered at once, the next is held
        if json.loads(await connection.ask(_poll(signer, txid)))["response"]["result"] != "waiting":
            raise WrongAnswer(f"{txid} was decided by nobody")
    polls = [asyncio.create_task(_result(connection, signer, txid)) for connection, txid in asked]
    await _quiet(ours)
    cpu, began, window = ours.process.cpu_seconds(), time.monotonic(), 3.0
    await asyncio.sleep(window)
    idle = (ours.process.cpu_seconds() - cpu) / (time.monotonic() - began)
    kib = (ours.process.rss_kib() - before) / count
    waiting = sum(not poll.done() for poll in polls)
    with store.database.change():
        for txid in txids:
            store.logins.decide(txid, Result.ALLOW, Status.ALLOW)
    decided = time.monotonic()
    answers = await asyncio.wait_for(asyncio.gather(*polls), _LIFE)
    late = time.monotonic() - decided
    allowed = answers.count("allow")
    for connection in connections:
        connection.close()
    remark = f"{waiting} held at once; all answered {late * 1000:.0f} ms after another process approved them"
    return [
        Figure(13, "held pushes answered with allow", allowed / count, goal=exactly(1), remark=remark),
        Figure(13, "memory per held push, its connection left out", kib, "KiB", at_most(64, 16, slack=2)),
        Figure(13, "CPU while all wait", idle * 100, "% of a core", at_most(5, 1, slack=3)),
    ]


async def _result(connection: _Connection, signer: Signer, txid: str) -> str:
    """What became of it: a poll that is held for nothing is asked again, as clients do."""
    while True:
        result = str(json.loads(await connection.ask(_poll(signer, txid)))["response"]["result"])
        if result != "waiting":
            return result


async def _quiet(server: Https) -> None:
    """Until every poll has arrived: what is measured is the waiting, not the asking."""
    for _ in range(30):
        cpu = server.process.cpu_seconds()
        await asyncio.sleep(0.5)
        if server.process.cpu_seconds() - cpu <= 0.02:
            return


async def _open_all(rig: Rig, server: Https, count: int) -> list[_Connection]:
    opened: list[_Connection] = []
    while len(opened) < count:
        group = min(_TOGETHER, count - len(opened))
        opened += await asyncio.gather(*(_Connection.open(rig, server) for _ in range(group)))
    return opened
