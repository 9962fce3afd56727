"""What stands behind every system under test: directories, the cloud, certificates. All on loopback."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tests.bench.certificates import Certificates
from tests.bench.process import AROUND_IT, Process, wait_for
from tests.bench.tools import SECRET, tool

T = TypeVar("T")

IKEY = "DIBENCHBENCHBENCHBEN"
SKEY = "bench" * 8
BASE_DN = "dc=example,dc=com"
PEOPLE_DN = f"ou=people,{BASE_DN}"
ADMIN_DN = f"cn=admin,{BASE_DN}"
ADMIN_PASSWORD = "adminpw"


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def takes_datagrams(port: int) -> bool:
    """Somebody has bound it: what is sent now waits there. (Looked up, for a trial of our own could get in the way.)"""
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                if int(line.split()[1].rpartition(":")[2], 16) == port:
                    return True
    return False


@dataclass(frozen=True, slots=True)
class Cloud:
    """A running cloudsink."""

    port: int
    ca: Path
    process: Process

    def counters(self) -> Mapping[str, int]:
        """Calls by kind, signatures right and wrong, connections, and how many users are waited for."""
        counted: dict[str, int] = json.loads(self._get("/bench/counters"))
        return counted

    def delay(self, seconds: float) -> None:
        """How long each push waits for its user from now on."""
        self._get(f"/bench/delay?ms={round(seconds * 1000)}")

    def _get(self, path: str) -> bytes:
        connection = HTTPSConnection(
            "localhost", self.port, timeout=30, context=ssl.create_default_context(cafile=str(self.ca))
        )
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()


class Rig:
    """Started piece by piece, as rows need them; ended together."""

    def __init__(self, folder: Path, *, users: int) -> None:
        self.folder = folder
        self.users = users
        folder.mkdir(parents=True, exist_ok=True)
        self.certificates = Certificates.in_folder(folder)
        self._stack = ExitStack()
        self._pieces: dict[str, object] = {}
        self.processes: list[Process] = []

    def adopt(self, process: Process) -> Process:
        """End it with the rest."""
        self.processes.append(self._stack.enter_context(process))
        return process

    def _run(self, name: str, command: list[object]) -> Process:
        return self.adopt(Process(command, cpu=AROUND_IT, output=self.folder / f"{name}.log"))

    @property
    def ldap_sink(self) -> int:
        """The port of a directory that answers at once."""
        return self._piece("ldapsink", self._start_ldap_sink)

    @property
    def radius_sink(self) -> int:
        """The port of a RADIUS server that answers at once."""
        return self._piece("radsink", self._start_radius_sink)

    @property
    def slapd(self) -> int:
        """The port of an OpenLDAP server with the same people."""
        return self._piece("slapd", self._start_slapd)

    @property
    def cloud(self) -> Cloud:
        """The service for clients that sign; any other call is refused."""
        return self._piece("cloud", lambda: self._start_cloud("cloud"))

    @property
    def unsigned_cloud(self) -> Cloud:
        """The same for peers that can't sign."""
        return self._piece("unsigned", lambda: self._start_cloud("unsigned", "-u"))

    def _piece(self, name: str, start: Callable[[], T]) -> T:
        if name not in self._pieces:
            self._pieces[name] = start()
        return self._pieces[name]  # type: ignore[return-value]

    def _start_ldap_sink(self) -> int:
        port = free_port()
        process = self._run("ldapsink", [tool("ldapsink"), "-p", port])
        wait_for("ldapsink", lambda: listens(port), process)
        return port

    def _start_radius_sink(self) -> int:
        port = free_port(socket.SOCK_DGRAM)
        process = self._run("radsink-home", [tool("radsink"), "-p", port, "-s", SECRET])
        wait_for("radsink", lambda: takes_datagrams(port), process)
        return port

    def _start_cloud(self, name: str, *options: str) -> Cloud:
        port, own = free_port(), self.certificates
        command = [
            tool("cloudsink"),
            "-p",
            port,
            "-c",
            own.chain,
            "-k",
            own.key,
            "-i",
            IKEY,
            "-s",
            SKEY,
            *options,
        ]
        process = self._run(name, command)
        wait_for(name, lambda: listens(port), process)
        return Cloud(port, own.ca, process)

    def _start_slapd(self) -> int:
        port, configuration = free_port(), fill_slapd(self.folder / "slapd", self.users)
        command = [_sbin("slapd"), "-d", "0", "-f", configuration, "-h", f"ldap://127.0.0.1:{port}"]
        process = self._run("slapd", command)
        wait_for("slapd", lambda: listens(port), process)
        return port

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _sbin(program: str) -> str:
    found = shutil.which(program, path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if found is None:
        raise RuntimeError(f"{program} is not installed: see .ci/packages.txt")
    return found


_SLAPD = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/pid
loglevel none
threads 4
database mdb
maxsize 268435456
suffix {base}
rootdn {admin}
rootpw {password}
directory {folder}/data
index uid,objectClass eq
dbnosync
"""


def fill_slapd(folder: Path, users: int) -> Path:
    """A new database with user00000 … and their passwords. Returns the configuration file."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    configuration = folder / "slapd.conf"
    configuration.write_text(
        _SLAPD.format(folder=folder, base=BASE_DN, admin=ADMIN_DN, password=ADMIN_PASSWORD)
    )
    command = [_sbin("slapadd"), "-q", "-f", str(configuration)]
    done = subprocess.run(command, input=_ldif(users), text=True, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"slapadd: {done.stderr}")
    return configuration


def _ldif(users: int) -> str:
    head = (
        f"dn: {BASE_DN}\nobjectClass: dcObject\nobjectClass: organization\no: bench\ndc: example\n\n"
        f"dn: {PEOPLE_DN}\nobjectClass: organizationalUnit\nou: people\n\n"
    )
    person = (
        "dn: uid=user{0:05d},{1}\nobjectClass: inetOrgPerson\nuid: user{0:05d}\ncn: User {0}\nsn: {0}\n"
        "mail: user{0:05d}@example.com\nuserPassword: pass{0:05d}\n\n"
    )
    return head + "".join(person.format(number, PEOPLE_DN) for number in range(users))
