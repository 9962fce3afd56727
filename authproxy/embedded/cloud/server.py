"""The whole service: one store, its API and pages, and its regular clean-up."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from twisted.internet.task import LoopingCall

from authproxy.embedded.cloud.api import auth_v1
from authproxy.embedded.cloud.api.auth_v1 import AuthV1
from authproxy.embedded.cloud.api.auth_v2 import AuthV2
from authproxy.embedded.cloud.api.authentic import Authenticity
from authproxy.embedded.cloud.api.calls import Behind, Polls
from authproxy.embedded.cloud.api.envelope import refused
from authproxy.embedded.cloud.api.errors import ApiError, Code
from authproxy.embedded.cloud.api.parameters import Parameters, read_parameters
from authproxy.embedded.cloud.changes import Changes
from authproxy.embedded.cloud.enrolment import Enrolment
from authproxy.embedded.cloud.links import Links
from authproxy.embedded.cloud.model import Application, WallClock
from authproxy.embedded.cloud.outcomes import Limits
from authproxy.embedded.cloud.pages.admin import AdminPages
from authproxy.embedded.cloud.pages.authenticator import AuthenticatorPages
from authproxy.embedded.cloud.pages.browser import Forms, Templates, plain, static_files
from authproxy.embedded.cloud.pages.console import Console
from authproxy.embedded.cloud.pages.console_changes import ConsoleChanges
from authproxy.embedded.cloud.pages.enrol import EnrolmentPages
from authproxy.embedded.cloud.pages.me import me
from authproxy.embedded.cloud.pages.phone import PhonePages
from authproxy.embedded.cloud.passcodes import Passcodes
from authproxy.embedded.cloud.second_factor import SecondFactor
from authproxy.embedded.cloud.senders import PageOnly, Sender
from authproxy.embedded.cloud.store.store import Store
from authproxy.embedded.cloud.web import Answer, Call, Handler, Reply, WebFactory
from authproxy.observe.log import Log
from authproxy.values import light_dataclass

_TIDIED_EVERY = 3600.0  # seconds
_LOOKED_EVERY = 0.25  # seconds, for what the command line changed
_CONNECTIONS = 16_384


@light_dataclass(frozen=True, slots=True)
class Settings:
    """`names`: the host names to which the service answers. `pages`: the address of the pages, as
    browsers reach them.
    """

    names: frozenset[str]
    pages: str
    hold: float = 20.0  # seconds that a poll is held while nothing happens
    legacy: bool = False
    limits: Limits = field(default_factory=Limits)


class CloudService:
    """Serves any number of ports. Call `start` before, and `stop` after."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        reactor: Any,
        clock: WallClock,
        log: Log,
        sender: Sender | None = None,
        around: Callable[[Handler], Handler] = lambda handler: handler,
    ) -> None:
        """`around` lets tests make the API fail; it can't be configured."""
        self._store = store
        self._clock = clock
        self._settings = settings
        self._reactor = reactor
        self._log = log
        self._around = around
        self.changes = Changes(reactor)
        passcodes = Passcodes(store.devices, store.codes, clock)
        self.core = SecondFactor(store, self.changes, passcodes, sender or PageOnly(), settings.limits, clock)
        self.enrolment = Enrolment(store, passcodes, clock)
        self.links = Links(settings.pages)
        self._authenticity = Authenticity(store.applications, clock, legacy=settings.legacy)
        polls = Polls(store, self.core, clock, settings.hold)
        behind = Behind(store, self.core, self.enrolment, self.links, clock, polls)
        self._v2 = AuthV2(behind)
        self._v1 = AuthV1(behind) if settings.legacy else None
        self._templates = templates = Templates()
        self._static: Mapping[str, Reply] = static_files()
        phone = PhonePages(
            store=store, core=self.core, changes=self.changes, templates=templates, clock=clock
        )
        codes = AuthenticatorPages(store=store, enrolment=self.enrolment, templates=templates, clock=clock)
        self._routes = {**phone.routes, **codes.routes}
        self._enrol = EnrolmentPages(
            enrolment=self.enrolment,
            changes=self.changes,
            forms=Forms(store.seal),
            templates=templates,
            links=self.links,
        )
        console = Console(store=store, changes=self.changes, templates=templates, clock=clock)
        self._admin = AdminPages(
            store=store,
            console=console,
            changes=ConsoleChanges(
                store=store,
                enrolment=self.enrolment,
                changes=self.changes,
                console=console,
                links=self.links,
            ),
            templates=templates,
            reactor=reactor,
        )
        store.note_pages(settings.pages)
        self._loops = [LoopingCall(store.tidy), LoopingCall(self._look)]
        self._version = store.database.data_version()

    # ---- ports

    def factory(self, *, secure: bool) -> WebFactory:
        """For a listening port: with TLS, API and pages; without TLS, only the pages (loopback)."""
        handler: Handler = self._everything if secure else self._pages_only
        return WebFactory(
            self._around(handler),
            broken=self._broken,
            secure=secure,
            connections=_CONNECTIONS,
            reactor=self._reactor,
            log=self._log,
        )

    def start(self) -> None:
        for loop, seconds in zip(self._loops, (_TIDIED_EVERY, _LOOKED_EVERY), strict=True):
            loop.clock = self._reactor
            loop.start(seconds).addErrback(self._loop_failed)

    def stop(self) -> None:
        for loop in self._loops:
            if loop.running:
                loop.stop()

    def _look(self) -> None:
        """The command line writes to the same file: wake whoever waits, they look for themselves."""
        if not len(self.changes):
            return
        version = self._store.database.data_version()
        if version != self._version:
            self._version = version
            self.changes.tell_all()

    def _loop_failed(self, failure: Any) -> None:
        self._log.failure("cloud.housekeeping_failed", failure.value)

    # ---- requests

    async def _everything(self, call: Call) -> Answer:
        if call.path.startswith(("/auth/v2/", auth_v1.PREFIX)):
            return await self._answer_api(call)
        return await self._pages_only(call)

    def _broken(self, path: str) -> Reply:
        """Something of ours went wrong, or the disk is full: nobody is let in by that."""
        error = ApiError(Code.INTERNAL)
        if path.startswith(auth_v1.PREFIX):
            return auth_v1.refused(path, error)
        if path.startswith("/auth/v2/"):
            return refused(error)
        return self._templates.page("broken.html", 500)

    async def _answer_api(self, call: Call) -> Reply:
        old = call.path.startswith(auth_v1.PREFIX)
        try:
            return await (self._endpoint_v1(call) if old else self._endpoint_v2(call))
        except ApiError as error:
            self._log.info("cloud.refused", code=error.code.value, detail=error.detail, path=call.path[:64])
            return auth_v1.refused(call.path, error) if old else refused(error)

    async def _endpoint_v2(self, call: Call) -> Reply:
        if (call.method, call.path) == ("GET", "/auth/v2/ping"):
            return self._v2.ping()
        endpoint = self._v2.endpoints.get((call.method, call.path))
        if endpoint is None:
            raise ApiError(Code.NOT_FOUND)
        application, sent = self._signed(call)
        return await endpoint(application, sent)

    async def _endpoint_v1(self, call: Call) -> Reply:
        if self._v1 is None:
            raise ApiError(Code.NOT_FOUND)
        if call.method == "GET" and auth_v1.name_of(call.path) == "ping":
            return auth_v1.succeeded(call.path, "pong")
        endpoint = self._v1.find(call.method, call.path)
        if endpoint is None:
            raise ApiError(Code.NOT_FOUND)
        application, sent = self._signed(call)
        return auth_v1.succeeded(call.path, await endpoint(application, sent))

    def _signed(self, call: Call) -> tuple[Application, Parameters]:
        if call.oversize:
            raise ApiError(Code.INVALID_PARAMETER, "body is too large")
        return self._authenticity.check(call), read_parameters(call)

    async def _pages_only(self, call: Call) -> Answer:
        # A foreign name that leads here is another site's attempt to read these pages (DNS rebinding).
        if not self._is_mine(call.host):
            return plain(421, "This is not the host you asked for.")
        if call.method in {"GET", "HEAD"} and (static := self._static.get(call.path)) is not None:
            return static
        route = self._routes.get(("GET" if call.method == "HEAD" else call.method, call.path))
        if route is not None:
            return await route(call, me(call, self._store, self._clock))
        answer = await self._enrol.handle(call) or await self._admin.handle(call)
        return answer or plain(404, "There is no such page.")

    def _is_mine(self, host: str) -> bool:
        if host in self._settings.names or host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False
