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
from authproxy.embedded.cloud.otp import current_step, new_otp_secret, otp_at
from authproxy.embedded.cloud.outcomes import Decided, Verdict
from authproxy.embedded.cloud.server import CloudService, Settings
from authproxy.embedded.cloud.store.store import Store, open_store
from authproxy.embedded.cloud.web import Handler
from authproxy.embedded.ports import bind, number_of, serve
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


class Sender:
    """What would have been texted or called."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []

    def send(self, kind: str, number: str, message: Secret) -> None:
        self.sent.append((kind, number, message.reveal().decode()))


class Running:
    """`port` speaks HTTPS, `pages` plain HTTP."""

    def __init__(
        self,
        reactor: Any,
        folder: Path,
        *,
        name: str = "localhost",
        faults: Callable[[Handler], Handler] | None = None,
        **settings: Any,
    ) -> None:
        """`name`: links lead to the plain port as localhost, else to the HTTPS port by this name."""
        self.name = name
        self._more = {} if faults is None else {"around": faults}
        self.reactor = reactor
        self.folder = folder
        self.clock = Clock()
        self.log = Log()
        self.sender = Sender()
        self.files = server_files(folder / "tls", ["localhost", name])
        self._settings = settings
        self.port = self.pages = 0
        self.start()

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return blockingCallFromThread(self.reactor, function, *args, **kwargs)

    def start(self) -> None:
        self.run(self._start)

    def _start(self) -> None:
        self.store: Store = open_store(self.folder, self.clock)
        pages, api = bind("127.0.0.1", self.pages), bind("127.0.0.1", self.port)
        self.pages, self.port = number_of(pages), number_of(api)
        settings = Settings(frozenset({"localhost", self.name}), self.base, **self._settings)
        self.service = CloudService(
            self.store,
            settings,
            reactor=self.reactor,
            clock=self.clock,
            log=self.log,
            sender=self.sender,
            **self._more,
        )
        self._factories = [self.service.factory(secure=True), self.service.factory(secure=False)]
        self._ports = [
            serve(self.reactor, api, self._factories[0], server_context(self.files)),
            serve(self.reactor, pages, self._factories[1]),
        ]
        self.service.start()

    @property
    def base(self) -> str:
        """Where links lead."""
        return (
            f"http://localhost:{self.pages}"
            if self.name == "localhost"
            else f"https://{self.name}:{self.port}"
        )

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

    def decide(self, device_id: str, verdict: Verdict, number: str = "") -> Decided:
        """At the phone, as soon as something waits there."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            decided: Decided | None = self.run(self._decide, device_id, verdict, number)
            if decided is not None:
                return decided
            time.sleep(0.02)
        raise AssertionError("nothing came to this phone")

    def _decide(self, device_id: str, verdict: Verdict, number: str) -> Decided | None:
        device = self.store.devices.find(device_id)
        lines = self.store.logins.waiting_of([device_id])
        if device is None or not lines:
            return None
        return self.service.core.decide([device], lines[0].login.txid, verdict, number)

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.files.authority))

    def https(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("localhost", self.port, context=self.context(), timeout=30)
