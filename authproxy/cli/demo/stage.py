"""The parts of the demo, in a temporary folder: directory, cloud and pages in this process, the proxy as another."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import string
import sys
import tempfile
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

import authproxy
from authproxy.cli.demo.company import ALICE, BASE, BOB, SERVICE, ldif
from authproxy.embedded.certificates import server_context, server_files
from authproxy.embedded.cloud.model import Device, DeviceKind, Otp, Policy
from authproxy.embedded.cloud.otp import new_otp_secret
from authproxy.embedded.cloud.server import CloudService, Settings
from authproxy.embedded.cloud.store.applications import Credentials
from authproxy.embedded.cloud.store.store import Store, open_store
from authproxy.embedded.directory.ldif import read_ldif
from authproxy.embedded.directory.server import DirectoryFactory
from authproxy.embedded.directory.tree import Tree
from authproxy.embedded.ports import PortUnusable, bind, number_of, serve
from authproxy.observe.log import Log
from authproxy.secret import Secret
from authproxy.values import light_dataclass

_READY = re.compile(rb"\bready\b")
_START_PATIENCE = 30.0  # seconds
_STOP_PATIENCE = 5.0
_TRIES = 3
_DAY = 86400.0
# What would change how the proxy runs if it came from the caller's environment.
_NOT_INHERITED = (
    "AUTHPROXY_CONFIG",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LOGS_DIRECTORY",
    "STATE_DIRECTORY",
    "CREDENTIALS_DIRECTORY",
)


class NotStarted(Exception):
    """A part didn't start; the text says which, and its own message."""


@light_dataclass(frozen=True, slots=True)
class Section:
    """A RADIUS section of the demo's proxy."""

    name: str  # in the configuration
    fail_mode: str
    port: int


@light_dataclass(frozen=True, slots=True)
class Phone:
    """A user's phone, and the link that turns a browser into it."""

    device: Device
    link: str


class Stage:
    """Everything that has to be removed at the end."""

    def __init__(self, reactor: Any, log: Log) -> None:
        self._reactor = reactor
        self._log = log
        self.folder = Path(tempfile.mkdtemp(prefix="authproxy-demo-"))
        self.config = self.folder / "authproxy.yaml"
        self.cloud = self.folder / "cloud"
        self.radius_secret = Secret.of(_word(24))
        self._service_password = Secret.of(_word(24))
        self.secure = Section("radius_server_auto", "secure", 0)
        self.safe = Section("radius_server_auto2", "safe", 0)
        self.admin_port = 0
        self.phones: dict[str, Phone] = {}
        self._ports: list[Any] = []
        self._api_sockets: list[Any] = []
        self._api_port = 0
        self._proxy: _Proxy | None = None
        self._store: Store | None = None

    @property
    def events(self) -> Path:
        return self.folder / "log" / "authevents.log"

    @property
    def store(self) -> Store:
        if self._store is None:
            raise NotStarted("the cloud")
        return self._store

    # ---- up

    async def start(self) -> None:
        """Raises NotStarted."""
        try:
            self._files = server_files(self.folder / "tls", ["localhost", "127.0.0.1"])
            directory = self._start_directory()
            self._start_cloud()
        except PortUnusable as unusable:
            raise NotStarted(str(unusable)) from None
        for attempt in range(1, _TRIES + 1):
            self.secure = replace(
                self.secure, port=_free_port(socket.SOCK_DGRAM, 18120 if attempt == 1 else 0)
            )
            self.safe = replace(self.safe, port=_free_port(socket.SOCK_DGRAM, 18121 if attempt == 1 else 0))
            self.admin_port = _free_port(socket.SOCK_STREAM, 0)
            self._write_config(directory)
            self._proxy = _Proxy(self._reactor, self.config)
            if await self._proxy.is_ready():
                return
            await self._proxy.stop()
            if "in use" not in self._proxy.said:
                break
            # Another program has taken a port between our look and the proxy's.
        raise NotStarted(f"the proxy said:\n{self._proxy.said if self._proxy else ''}")

    def _start_directory(self) -> int:
        text = ldif(self._service_password)
        file = self.folder / "directory.ldif"
        _write_private(file, text)
        factory = DirectoryFactory(Tree(read_ldif(text)), reactor=self._reactor, log=self._log)
        bound = bind("127.0.0.1", 0)
        port = number_of(bound)
        self._ports.append(serve(self._reactor, bound, factory, server_context(self._files)))
        return port

    def _start_cloud(self) -> None:
        self._store = open_store(self.cloud, time.time)
        pages = bind("127.0.0.1", 0)
        base = f"http://localhost:{number_of(pages)}"
        self.service = CloudService(
            self._store,
            Settings(frozenset({"localhost"}), base),
            reactor=self._reactor,
            clock=time.time,
            log=self._log,
        )
        self._api_factory = self.service.factory(secure=True)
        self._ports.append(serve(self._reactor, pages, self.service.factory(secure=False)))
        self.connect_cloud()
        self.service.start()
        self._applications = [
            self._store.applications.add(f"Demo VPN ({mode})", Policy()) for mode in ("secure", "safe")
        ]
        for person in (ALICE, BOB):
            self.phones[person.name] = self._phone(person.name)

    def _phone(self, name: str) -> Phone:
        user = self.store.users.add(name)
        device = self.store.devices.add(
            user.user_id, DeviceKind.PHONE, name="Demo phone", otp=Otp.TOTP, otp_secret=new_otp_secret()
        )
        # It takes pushes from the start; the link then moves it to the browser that opens it.
        self.store.devices.give_page(device.device_id)
        code = self.service.enrolment.invite(user, _DAY, device.device_id)
        return Phone(device, self.service.links.activation(code))

    def _write_config(self, directory_port: int) -> None:
        tls = self._files.authority
        text = f"""# Made by `authproxy demo`; it goes when the demo ends.
main:
  log_dir: {_quoted(self.folder / "log")}
  state_dir: {_quoted(self.folder / "state")}
  interface: 127.0.0.1
  admin: 127.0.0.1:{self.admin_port}
  drain_timeout: 1
ad_client:
  host: 127.0.0.1
  port: {directory_port}
  transport: ldaps
  ssl_ca_certs_file: {_quoted(tls)}
  ssl_server_name: localhost
  auth_type: plain
  bind_dn: {SERVICE}
  service_account_password: {_quoted(self._service_password.reveal().decode())}
  search_dn: {BASE}
"""
        for section, credentials in zip((self.secure, self.safe), self._applications, strict=True):
            text += self._section(section, credentials)
        _write_private(self.config, text)

    def _section(self, section: Section, credentials: Credentials) -> str:
        return f"""{section.name}:
  ikey: {credentials.application.ikey}
  skey: {_quoted(credentials.skey.reveal().decode())}
  api_host: localhost
  api_port: {self._api_port}
  api_ca_certs_file: {_quoted(self._files.authority)}
  allow_local_api: true
  failmode: {section.fail_mode}
  client: ad_client
  port: {section.port}
  clients:
    - {{name: demo, ip: 127.0.0.1, secret: {_quoted(self.radius_secret.reveal().decode())}}}
"""

    # ---- the outage

    def connect_cloud(self) -> None:
        """Let the API answer, on the same port as before."""
        bound = bind("127.0.0.1", self._api_port)
        self._api_port = number_of(bound)
        self._api_sockets = [serve(self._reactor, bound, self._api_factory, server_context(self._files))]
        try:
            also = bind("::1", self._api_port)
        except PortUnusable:
            return  # no IPv6 here, then localhost isn't that either
        self._api_sockets.append(serve(self._reactor, also, self._api_factory, server_context(self._files)))

    async def disconnect_cloud(self) -> None:
        """Behave as if the service were gone: close connections, and refuse new ones."""
        for port in self._api_sockets:
            await _stopped(port)
        self._api_sockets = []
        self._api_factory.abort_all()

    @property
    def is_connected(self) -> bool:
        return bool(self._api_sockets)

    # ---- down

    async def stop(self) -> None:
        """Stop everything, in reverse order; a part that can't be stopped doesn't hinder the others."""
        try:
            if self._proxy is not None:
                await self._proxy.stop()
            await self.disconnect_cloud()
            for port in self._ports:
                await _stopped(port)
            if self._store is not None:
                self.service.stop()
                self._store.close()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


class _Proxy(ProcessProtocol):
    """The real daemon."""

    def __init__(self, reactor: Any, config: Path) -> None:
        self._reactor = reactor
        self._lines: deque[bytes] = deque(maxlen=40)
        self._partial = b""
        self._started: Deferred[bool] = Deferred()
        self._ended: Deferred[None] = Deferred()
        command = [sys.executable, "-m", "authproxy", "run", "-c", str(config)]
        environment = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
        # From another folder it has to find the same authproxy.
        paths = [str(Path(authproxy.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        self._process = reactor.spawnProcess(
            self, sys.executable, command, env=environment, path=str(config.parent)
        )

    @property
    def said(self) -> str:
        return b"\n".join((*self._lines, self._partial)).decode("utf-8", "replace")

    async def is_ready(self) -> bool:
        """True when it serves; False when it ended instead, or took too long."""
        self._started.addTimeout(_START_PATIENCE, self._reactor)
        try:
            return await self._started
        except TimeoutError:
            return False

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL to one that doesn't listen: by its own process id."""
        if self._ended.called:
            return
        self._signal(signal.SIGTERM)
        impatient = self._reactor.callLater(_STOP_PATIENCE, self._signal, signal.SIGKILL)
        await self._ended
        if impatient.active():
            impatient.cancel()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessExitedAlready):
            self._process.signalProcess(number)

    def outReceived(self, data: bytes) -> None:  # noqa: N802 - twisted's name
        self.errReceived(data)

    def errReceived(self, data: bytes) -> None:  # noqa: N802 - twisted's name
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._lines.extend(lines)
        if any(_READY.search(line) for line in lines) and not self._started.called:
            self._started.callback(True)

    def processEnded(self, reason: Failure) -> None:  # noqa: N802 - twisted's name
        self._ended.callback(None)
        if not self._started.called:
            self._started.callback(False)


async def _stopped(port: Any) -> None:
    stopping = port.stopListening()
    if stopping is not None:
        await stopping


def _free_port(kind: socket.SocketKind, wanted: int) -> int:
    """The wanted one, else any."""
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _word(length: int) -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))


def _quoted(value: object) -> str:
    """A JSON string is a YAML string."""
    return json.dumps(str(value))


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
