"""The directory as clients see it: ldap3, ldapsearch, and people who send garbage."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ldap3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet import ssl as twisted_ssl

from authproxy.embedded.certificates import ServerFiles, server_files
from authproxy.embedded.directory.ldif import read_ldif
from authproxy.embedded.directory.password import hashed, matches
from authproxy.embedded.directory.server import DirectoryFactory, Limits
from authproxy.embedded.directory.tree import Tree
from authproxy.observe.log import NullLog
from authproxy.protocols.ldap.requests import START_TLS
from authproxy.protocols.ldap.responses import BindResponse, ExtendedResponse, Result, encode_response
from authproxy.secret import Secret
from tests.system.parts.needs import needs

from .corp import ALICE, BASE, LDIF, VPN

Run = Callable[..., Any]


class Running:
    """A directory on a free port, plain with StartTLS, and one for LDAPS."""

    def __init__(self, reactor: Any, run: Run, files: ServerFiles, limits: Limits) -> None:
        certificate = twisted_ssl.PrivateCertificate.loadPEM(
            files.certificate.read_bytes() + files.key.read_bytes()
        )
        self.files = files
        self.factory = DirectoryFactory(
            Tree(read_ldif(LDIF)), reactor=reactor, log=NullLog(), limits=limits, tls=certificate.options()
        )
        self._run = run
        self._ports = [
            run(reactor.listenTCP, 0, self.factory, interface="127.0.0.1"),
            run(reactor.listenSSL, 0, self.factory, certificate.options(), interface="127.0.0.1"),
        ]
        self.port, self.tls_port = (port.getHost().port for port in self._ports)

    def stop(self) -> None:
        for port in self._ports:
            self._run(port.stopListening)
        self._run(self.factory.abort_all)

    def connect(
        self, user: str | None = ALICE, password: str | None = "wonderland", **more: Any
    ) -> ldap3.Connection:
        server = ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE)
        return ldap3.Connection(server, user, password, **more)

    def raw(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ServerFiles:
    return server_files(tmp_path_factory.mktemp("tls"), ["localhost", "127.0.0.1"])


@pytest.fixture(scope="module")
def module_run(reactor_thread: Any) -> Run:
    from twisted.internet.threads import blockingCallFromThread

    return lambda function, *args, **kwargs: blockingCallFromThread(reactor_thread, function, *args, **kwargs)


@pytest.fixture(scope="module")
def running(reactor_thread: Any, module_run: Run, files: ServerFiles) -> Iterator[Running]:
    started = Running(reactor_thread, module_run, files, Limits(entries=3, connections=20))
    yield started
    started.stop()


@pytest.mark.parametrize(
    "user", [ALICE, "alice@corp.example", "CORP\\alice", "cn=ALICE  doe, ou=people, dc=corp, dc=example"]
)
def test_bind(running: Running, user: str) -> None:
    with running.connect(user) as connection:
        assert connection.extend.standard.who_am_i() == f"dn:{ALICE}"


@pytest.mark.parametrize(
    ("user", "password", "code", "words"),
    [
        (ALICE, "Wonderland", 49, "data 52e"),
        ("cn=nobody,dc=corp,dc=example", "wonderland", 49, "data 52e"),
        (f"OU=People,{BASE}", "wonderland", 49, "data 52e"),
        (f"CN=Bob,OU=People,{BASE}", "builder", 49, "data 533"),
        (f"CN=Bob,OU=People,{BASE}", "wrong", 49, "data 52e"),
        ("no name at all", "x", 49, "data 52e"),
    ],
)
def test_refused_binds(running: Running, user: str, password: str, code: int, words: str) -> None:
    connection = running.connect(user, password)
    assert not connection.bind()
    assert connection.result["result"] == code
    assert words in connection.result["message"]
    connection.unbind()


def bind_octets(name: bytes, password: bytes, version: int = 3, choice: int = 0x80) -> bytes:
    content = bytes((2, 1, version, 4, len(name))) + name + bytes((choice, len(password))) + password
    return bytes((0x30, len(content) + 5, 2, 1, 1, 0x60, len(content))) + content


def test_a_name_without_a_password_is_no_login(running: Running) -> None:
    with running.raw() as peer:
        peer.sendall(bind_octets(ALICE.encode(), b""))
        assert peer.recv(1000)[9] == 53


def test_other_versions_and_choices(running: Running) -> None:
    with running.raw() as peer:
        peer.sendall(bind_octets(ALICE.encode(), b"wonderland", version=2))
        assert peer.recv(1000)[9] == 2
        peer.sendall(bind_octets(ALICE.encode(), b"", choice=0xA3).replace(b"\xa3\0", b"\xa3\2\4\0"))
        assert peer.recv(1000)[9] in (2, 7)


def test_search(running: Running) -> None:
    with running.connect() as connection:
        connection.search(BASE, "(&(objectClass=user)(sAMAccountName=ALICE))", attributes=["*", "+"])
        (entry,) = connection.entries
        assert entry.mail == "alice@corp.example"
        assert entry.memberOf.value.startswith("CN=Staff")
        assert "userPassword" not in entry.entry_attributes
        connection.search(BASE, "(sAMAccountName=alice)", attributes=["userPassword", "cn"])
        assert connection.entries[0].entry_attributes_as_dict == {"userPassword": [], "cn": ["Alice Doe"]}


def test_no_more_entries_than_allowed(running: Running) -> None:
    with running.connect() as connection:
        connection.search(BASE, "(objectClass=*)")
        assert (connection.result["result"], len(connection.entries)) == (4, 3)
        connection.search(BASE, "(objectClass=*)", size_limit=1)
        assert (connection.result["result"], len(connection.entries)) == (4, 1)


def test_a_base_that_is_not_there(running: Running) -> None:
    with running.connect() as connection:
        connection.search(f"OU=None,OU=People,{BASE}", "(cn=*)")
        assert connection.result["result"] == 32
        assert connection.result["dn"] == f"OU=People,{BASE}"
        connection.check_names = False
        connection.search("not a name", "(cn=*)")
        assert connection.result["result"] == 34


def test_strangers_see_the_root_only(running: Running) -> None:
    with running.connect(None, None) as connection:
        connection.search("", "(objectClass=*)", ldap3.BASE, attributes="*")
        assert connection.entries[0].namingContexts == BASE
        connection.search(BASE, "(objectClass=*)")
        assert connection.result["result"] == 50


def test_a_failed_bind_ends_the_one_before(running: Running) -> None:
    with running.connect() as connection:
        assert not connection.rebind(ALICE, "wrong", authentication=ldap3.SIMPLE, read_server_info=False)
        connection.search(BASE, "(objectClass=*)")
        assert connection.result["result"] == 50


def test_it_is_read_only(running: Running) -> None:
    with running.connect() as connection:
        for attempt in (
            lambda: connection.add(f"cn=x,{BASE}", "person"),
            lambda: connection.delete(ALICE),
            lambda: connection.modify(ALICE, {"cn": [(ldap3.MODIFY_REPLACE, ["x"])]}),
            lambda: connection.modify_dn(ALICE, "cn=x"),
            lambda: connection.compare(ALICE, "userPassword", "wonderland"),
        ):
            attempt()
            assert connection.result["result"] == 53


def test_tls_both_ways(running: Running) -> None:
    trust = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(running.files.authority))
    server = ldap3.Server("localhost", running.tls_port, use_ssl=True, tls=trust, get_info=ldap3.NONE)
    with ldap3.Connection(server, ALICE, "wonderland") as connection:
        assert connection.bound
    server = ldap3.Server("localhost", running.port, tls=trust, get_info=ldap3.NONE)
    connection = ldap3.Connection(server, ALICE, "wonderland")
    assert connection.start_tls()
    assert connection.bind()
    connection.unbind()


def test_nothing_is_taken_from_behind_start_tls(running: Running) -> None:
    start_tls = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"
    with running.raw() as peer:
        peer.sendall(start_tls + bind_octets(ALICE.encode(), b"wonderland"))
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while octets := peer.recv(4096):
                received += octets
    bound = encode_response(1, BindResponse(Result(0)))
    assert bound not in received
    assert encode_response(1, ExtendedResponse(Result(0), START_TLS)).startswith(received)


def test_ldapsearch(running: Running) -> None:
    program = needs("ldapsearch", "ldap-utils")
    wanted = f"(memberOf:1.2.840.113556.1.4.1941:={VPN})"
    done = subprocess.run(
        [program, "-x", "-LLL", "-o", "ldif-wrap=no", "-H", f"ldap://127.0.0.1:{running.port}", "-ZZ",
         "-D", ALICE, "-w", "wonderland", "-b", BASE, wanted, "mail"],
        env={"LDAPTLS_CACERT": str(running.files.authority)},
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "mail: alice@corp.example" in done.stdout


def still_well(running: Running) -> bool:
    with running.connect() as connection:
        return bool(connection.bound)


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x30\x84\x7f\xff\xff\xff",
        b"\x30\x80",
        b"\x30\x03\x02\x01\x00",
        b"\x30\x05\x02\x01\x01\x61\x00",
        bind_octets(b"\xff\xfe", b"x"),
        bind_octets(b"a", b"b")[:-1] + b"bcdef",
    ],
)
def test_garbage_ends_its_own_connection(running: Running, octets: bytes) -> None:
    with running.raw() as peer:
        peer.sendall(octets)
        peer.shutdown(socket.SHUT_WR)
        received = b""
        while more := peer.recv(4096):
            received += more
        assert b"1466.20036" in received or not received
    assert still_well(running)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=120))
def test_any_octets(running: Running, octets: bytes) -> None:
    with running.raw() as peer:
        peer.sendall(bind_octets(ALICE.encode(), b"wonderland") + octets)
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(4096):
            pass
    assert still_well(running)


def test_a_silent_client_is_dropped(reactor_thread: Any, module_run: Run, files: ServerFiles) -> None:
    running = Running(reactor_thread, module_run, files, Limits(first=0.2))
    try:
        with running.raw() as peer:
            peer.sendall(b"\x30")
            assert peer.recv(10) == b""
    except ConnectionResetError:
        pass
    finally:
        running.stop()


def test_no_more_connections_than_allowed(reactor_thread: Any, module_run: Run, files: ServerFiles) -> None:
    running = Running(reactor_thread, module_run, files, Limits(connections=1))
    try:
        with running.raw() as first:
            first.sendall(bind_octets(ALICE.encode(), b"wonderland"))
            assert first.recv(1000)
            with running.raw() as second:
                assert second.recv(10) == b""
    finally:
        running.stop()


def test_passwords() -> None:
    secret = Secret(b"wonderland")
    assert matches([b"wonderland"], secret)
    assert matches([b"other", hashed(secret)], secret)
    assert not matches([hashed(secret)], Secret(b"Wonderland"))
    assert not matches([], secret)
    assert not matches([b""], Secret(b""))
    assert not matches([b"{MD4}xx", b"{SSHA}***"], secret)
    assert matches([b"{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="], Secret(b"password"))


def test_files_are_made_once_and_private(tmp_path: Path) -> None:
    first = server_files(tmp_path / "tls", ["localhost"])
    octets = first.certificate.read_bytes()
    assert server_files(tmp_path / "tls", ["localhost"]).certificate.read_bytes() == octets
    assert server_files(tmp_path / "tls", ["other"]).certificate.read_bytes() != octets
    assert first.key.stat().st_mode & 0o077 == 0
    assert (tmp_path / "tls" / "ca.key").stat().st_mode & 0o077 == 0
