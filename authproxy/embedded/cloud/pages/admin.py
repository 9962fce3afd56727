"""The administrators' login: a password and an authenticator app, then a session. Behind it is console.py."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import DeferredSemaphore
from twisted.internet.threads import deferToThreadPool

from authproxy.embedded.cloud.pages.browser import Cookie, Forms, Templates, see_other
from authproxy.embedded.cloud.pages.console import Console
from authproxy.embedded.cloud.pages.console_changes import ConsoleChanges
from authproxy.embedded.cloud.store.administrators import Session, password_matches
from authproxy.embedded.cloud.store.store import Store
from authproxy.embedded.cloud.web import Answer, Call, Reply
from authproxy.secret import Secret

ADMIN = Cookie("admin", life=8 * 3600, same_site="Strict")
_GUESSES_AT_ONCE = 2  # each is some 16 MiB and tens of milliseconds of a processor
_GUESSES_WAITING = 16
_MOST_TYPED = 1024


class AdminPages:
    def __init__(
        self, *, store: Store, console: Console, changes: ConsoleChanges, templates: Templates, reactor: Any
    ) -> None:
        self._store = store
        self._console = console
        self._changes = changes
        self._templates = templates
        self._reactor = reactor
        self._forms = Forms(store.seal)
        self._guesses = DeferredSemaphore(_GUESSES_AT_ONCE)

    async def handle(self, call: Call) -> Answer | None:
        """The answer to a request. None: the path isn't one of these pages."""
        if call.path != "/admin" and not call.path.startswith("/admin/"):
            return None
        if (call.method, call.path) == ("POST", "/admin/login"):
            return await self._log_in(call)
        session = self._session(call)
        if session is None:
            return self._door("") if call.method in {"GET", "HEAD"} else see_other("/admin")
        word = self._forms.word([session.token])
        if call.method in {"GET", "HEAD"}:
            return self._console.show(call, session.name, word)
        return self._change(call, session, word)

    def _change(self, call: Call, session: Session, word: str) -> Answer:
        if not self._forms.is_ours(call, [session.token]):
            return see_other("/admin?said=stale")
        if call.path == "/admin/logout":
            self._store.administrators.end(session.token)
            return see_other("/admin", [ADMIN.write(call, ())])
        return self._changes.change(call, session.name, word)

    def _session(self, call: Call) -> Session | None:
        tokens = ADMIN.read(call)
        return self._store.administrators.session(tokens[0]) if tokens else None

    def _door(self, problem: str, status: int = 200) -> Reply:
        if not self._store.administrators.list():
            return self._templates.page("admin_none.html")
        return self._templates.page("admin_login.html", status, problem=problem)

    async def _log_in(self, call: Call) -> Reply:
        # There is no session yet that a word could be bound to; that the form came from here is what counts.
        if not self._forms.same_origin(call):
            return see_other("/admin")
        form = call.form()
        name, typed = form.get("name", "").strip(), form.get("password", "")
        if len(name) > _MOST_TYPED or len(typed) > _MOST_TYPED:
            return self._door("That is not right.", 403)
        if len(self._guesses.waiting) >= _GUESSES_WAITING:
            return self._door("Too many are trying. Wait a little.", 429)
        right = await self._is_right(name, Secret.of(typed))
        code = Secret.of("".join(form.get("code", "").split()))
        session = self._store.administrators.log_in(name, right_password=right, code=code)
        if session is None:
            self._store.events.add(call.peer, "administrator.refused", name=name[:64])
            return self._door("That is not right. After some tries it takes five minutes.", 403)
        self._store.events.add(name, "administrator.logged_in", ip=call.peer)
        return see_other("/admin", [ADMIN.write(call, [session.token])])

    async def _is_right(self, name: str, typed: Secret) -> bool:
        kept = self._store.administrators.password_of(name)
        pool = self._reactor.getThreadPool()
        right: bool = await self._guesses.run(
            deferToThreadPool, self._reactor, pool, password_matches, kept, typed
        )
        return right
