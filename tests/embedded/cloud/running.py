"""The service on real ports of loopback, with a clock that tests can set."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duo_client
from twisted.internet.threads import blockingCallFromThread

from authproxy.embedded.certificates import server_context, server_files
from authproxy.embedded.cloud.model import DeviceKind, Otp, Policy, User
from authproxy.embedded.cloud.passcodes import current_step, new_otp_secret, otp_at
from authproxy.embedded.cloud.server import CloudService, Settings
from authproxy.embedded.cloud.store.store import Store, open_store
from authproxy.observe.log import NullLog
from authproxy.secret import Secret


class Clock:
    """The wall clock, and how far a test has moved it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class Log(NullLog):
    """Remembers bugs: a test that leaves one has failed."""

    def __init__(self) -> None:
        self.bugs: list[BaseException] = []

    def failure(self, event: str, error: BaseException, /, **fields: object) -> None:
        self.bugs.append(error)


class Running:
    """`port` speaks HTTPS, `pages` plain HTTP."""

    def __init__(self, reactor: Any, folder: Path, **settings: Any) -> None:
        self.reactor = reactor
        self.folder = folder
        self.clock = Clock()
        self.log = Log()
        self.files = server_files(folder / "tls", ["localhost"])
        self._settings = settings
        self.port = self.pages = 0
        self.start()

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return blockingCallFromThread(self.reactor, function, *args, **kwargs)

    def start(self) -> None:
        self.run(self._start)

    def _start(self) -> None:
        listen: dict[str, Any] = {"interface": "127.0.0.1", "backlog": 1024}
        self.store: Store = open_store(self.folder, self.clock)
        plain = self.reactor.listenTCP(self.pages, _later := _Later(), **listen)
        self.pages = plain.getHost().port
        settings = Settings(frozenset({"localhost"}), f"http://localhost:{self.pages}", **self._settings)
        self.service = CloudService(
            self.store, settings, reactor=self.reactor, clock=self.clock, log=self.log
        )
        self._factories = [self.service.factory(secure=True), self.service.factory(secure=False)]
        _later.factory = self._factories[1]
        tls = self.reactor.listenSSL(self.port, self._factories[0], server_context(self.files), **listen)
        self.port = tls.getHost().port
        self._ports = [plain, tls]
        self.service.start()

    def stop(self) -> None:
        for port in self._ports:
            self.run(port.stopListening)
        for factory in self._factories:
            self.run(factory.abort_all)
        self.run(self.service.stop)
        self.run(self.store.close)

    def restart(self) -> None:
        self.stop()
        self.start()

    # ---- what tests need of it

    def application(self, name: str = "VPN", policy: Policy | None = None) -> tuple[str, str]:
        made = self.run(self.store.applications.add, name, policy or Policy())
        return made.application.ikey, made.skey.reveal().decode()

    def client(self, credentials: tuple[str, str], **more: Any) -> duo_client.Auth:
        ikey, skey = credentials
        return duo_client.Auth(
            ikey=ikey,
            skey=skey,
            host="localhost",
            port=self.port,
            ca_certs=str(self.files.authority),
            timeout=30,
            **more,
        )

    def user(self, name: str = "alice", *, number: str = "") -> tuple[User, str, Secret]:
        """A user with a phone: the user, the phone's id, the secret of its page."""

        def make() -> tuple[User, str, Secret]:
            user = self.store.users.add(name)
            device = self.store.devices.add(
                user.user_id,
                DeviceKind.PHONE,
                name="iPhone",
                number=number,
                otp=Otp.TOTP,
                otp_secret=new_otp_secret(),
            )
            return user, device.device_id, self.store.devices.give_page(device.device_id)

        made: tuple[User, str, Secret] = self.run(make)
        return made

    def passcode(self, device_id: str, steps: int = 0) -> str:
        def read() -> str:
            otp = self.store.devices.otp_secret(device_id)
            assert otp is not None
            counter = otp.next + steps if otp.kind is Otp.HOTP else current_step(self.clock()) + steps
            return otp_at(otp, counter).reveal().decode()

        code: str = self.run(read)
        return code

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.files.authority))

    def https(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("localhost", self.port, context=self.context(), timeout=30)


class _Later:
    """A factory whose real one comes when its port is known."""

    factory: Any = None
    noisy = False

    def doStart(self) -> None: ...

    def doStop(self) -> None: ...

    def buildProtocol(self, addr: Any) -> Any:
        return self.factory.buildProtocol(addr)
