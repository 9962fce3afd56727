"""Row 8: the relay and nothing else, before a directory that answers at once, beside ldaptor's proxy; and how many.

The unit is the processor's second, and both are asked as much as they can do: who is asked less often wakes up for
each message by itself, and takes more for it.
"""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path as Folder

from authproxy.protocols.ldap.filter import Equality
from authproxy.protocols.ldap.requests import Scope, SearchRequest, encode_request
from tests.bench.figures import Figure, Ratios, at_least, exactly
from tests.bench.ldap_clients import Client, searches, sessions
from tests.bench.process import UNDER_TEST, Process, wait_for
from tests.bench.rig import PEOPLE_DN, Rig, free_port, listens
from tests.bench.rows import Plan
from tests.bench.rows.relay import Path, start_authproxy
from tests.bench.servers import ROOT
from tests.bench.tools import WORK, Unbuildable

_PEER = Folder(__file__).parents[1] / "peers" / "ldaptor_proxy.py"
# For the bench alone, so the project depends on none of it; Twisted is the same that authproxy runs on.
_WANTED = ("ldaptor==21.2.0", "passlib", "pyparsing", "six")
MANY = 1000
PUSHES = 400


def measure(plan: Plan) -> list[Figure]:
    rig = plan.rig
    ours = start_authproxy(rig, rig.ldap_sink, "authproxy-relay", exempt=True)
    theirs = _ldaptor(rig)
    figures = [*_beside(plan, ours, theirs), *_many(ours), _pending(plan)]
    for path in (ours, theirs):
        if path.process:
            path.process.stop()
    return figures


def _beside(plan: Plan, ours: Path, theirs: Path) -> list[Figure]:
    seconds = plan.choose(3, 1)
    found: dict[str, list[float]] = {path.name: [] for path in (ours, theirs)}
    made: dict[str, list[float]] = {path.name: [] for path in (ours, theirs)}
    for number in range(plan.rounds):
        for path in (ours, theirs) if number % 2 else (theirs, ours):
            found[path.name].append(_per_cpu_second(path, lambda port=path.port: searches(port, seconds)))
            made[path.name].append(_per_cpu_second(path, lambda port=path.port: sessions(port, seconds)))
    figures = []
    for what, each, goal in (
        ("relayed searches", found, at_least(12, 30, slack=1.5)),
        # Each session is a login, decided, looked up and written down, which ldaptor's is not.
        ("whole sessions", made, at_least(2, 4, slack=2.5)),
    ):
        share = Ratios.of(each[ours.name], each[theirs.name])
        told = f"{statistics.median(each[ours.name]):.0f} against {statistics.median(each[theirs.name]):.0f}"
        line = f"{what} per CPU-second ÷ ldaptor's proxy"
        figures.append(Figure(8, line, share.median, "×", goal, share.spread, told))
    return figures


def _per_cpu_second(path: Path, work: object) -> float:
    assert path.process is not None
    assert callable(work)
    before = path.process.cpu_seconds()
    count: int = work()
    return count / max(path.process.cpu_seconds() - before, 0.01)


def _many(ours: Path) -> list[Figure]:
    """Every one of a thousand connections has a search under way, again and again."""
    clients = []
    for number in range(MANY):
        clients.append(Client(ours.port))
        clients[-1].bind(number)  # at once: who says nothing for ten seconds is cut off
    rounds, answered = 3, 0
    began = time.monotonic()
    for turn in range(rounds):
        for number, client in enumerate(clients):
            wanted = Equality("uid", b"user%05d" % number)
            request = SearchRequest(PEOPLE_DN, Scope.SUBTREE, wanted)
            client.socket.sendall(encode_request(turn + 2, request))
        answered += sum(_is_answered(client, number) for number, client in enumerate(clients))
    seconds = time.monotonic() - began
    for client in clients:
        client.socket.close()
    told = f"{MANY * rounds / seconds:.0f} searches/s"
    what = f"searches answered ÷ asked, on {MANY} connections at once"
    return [Figure(7, what, answered / (MANY * rounds), goal=exactly(1), remark=told)]


def _is_answered(client: Client, number: int) -> bool:
    got = b""
    client.socket.settimeout(30)
    try:
        while b"\x65\x07\x0a\x01\x00" not in got:
            data = client.socket.recv(65536)
            if not data:
                return False
            got += data
    except socket.timeout:  # noqa: UP041 - what the module calls it
        return False
    return b"user%05d" % number in got


def _pending(plan: Plan) -> Figure:
    """Each has its connection to the directory, bound, and a held call of the cloud over TLS."""
    rig = plan.rig
    ours = start_authproxy(rig, rig.slapd, "authproxy-pushes")
    assert ours.process is not None
    count = plan.choose(PUSHES, 100)
    rig.cloud.delay(0)
    with Client(ours.port) as first:
        first.bind(999)  # what a first login costs once
    before = ours.process.rss_kib()
    rig.cloud.delay(20)
    clients = [Client(ours.port) for _ in range(count)]
    names = [client.begin_bind(number) for number, client in enumerate(clients)]
    wait_for("the pushes", lambda: rig.cloud.counters()["held"] >= count, ours.process)
    each = (ours.process.rss_kib() - before) / count
    for name, client in zip(names, clients, strict=True):
        client.socket.settimeout(60)
        client.expect_bound(name)
        client.socket.close()
    rig.cloud.delay(0)
    ours.process.stop()
    return Figure(7, f"memory of a bind that waits for its push, of {count}", each, "KiB")


def _ldaptor(rig: Rig) -> Path:
    library, port = WORK / "ldaptor", free_port()
    if not (library / "ldaptor").is_dir():
        install = (sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--only-binary", ":all:")
        done = subprocess.run(
            [*install, "--target", library, *_WANTED], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Unbuildable(f"ldaptor, with which row 8 compares: {done.stderr[-500:]}")
    command = [sys.executable, _PEER, port, rig.ldap_sink]
    environment = {"PYTHONPATH": str(library)}
    output = rig.folder / "ldaptor.log"
    process = rig.adopt(Process(command, cpu=UNDER_TEST, output=output, environment=environment, cwd=ROOT))
    wait_for("ldaptor's proxy", lambda: listens(port), process)
    return Path("ldaptor", port, process)
