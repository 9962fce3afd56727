"""Enrolment: the page on the computer with a code to scan, and the page on the phone to which it leads."""

from __future__ import annotations

import re
from urllib.parse import unquote

from authproxy.embedded.cloud.changes import Changes
from authproxy.embedded.cloud.enrolment import Enrolment
from authproxy.embedded.cloud.links import Links
from authproxy.embedded.cloud.pages.browser import SECURITY_HEADERS, Forms, Templates, plain, see_other
from authproxy.embedded.cloud.pages.me import PHONE
from authproxy.embedded.cloud.pages.qr import svg
from authproxy.embedded.cloud.store.codes import ActivationState
from authproxy.embedded.cloud.web import Answer, Call, Reply
from authproxy.secret import Secret

_HOLD = 20.0  # seconds that the computer's page waits for the phone
_KINDS = (
    (re.compile("iPhone"), "iPhone"),
    (re.compile("iPad"), "iPad"),
    (re.compile("Android.*Mobile"), "Android phone"),
    (re.compile("Android"), "Android tablet"),
    (re.compile("Macintosh"), "Mac"),
    (re.compile("Windows"), "Windows browser"),
    (re.compile("Linux"), "Linux browser"),
)
ACTIVATED = "activation"  # what changes when any phone was activated


class EnrolmentPages:
    def __init__(
        self, *, enrolment: Enrolment, changes: Changes, forms: Forms, templates: Templates, links: Links
    ) -> None:
        """`base`: the pages' address, as phones reach it."""
        self._enrolment = enrolment
        self._changes = changes
        self._forms = forms
        self._templates = templates
        self._links = links

    async def handle(self, call: Call) -> Answer | None:
        """The answer to a request. None: the path isn't one of these pages."""
        kind, _, rest = call.path.removeprefix("/").partition("/")
        code, _, more = rest.partition("/")
        secret = Secret.of(unquote(code))
        match call.method, kind, more:
            case "GET" | "HEAD", "enroll", "":
                return self._on_the_computer(secret)
            case "GET", "enroll", "state":
                return await self._state(secret)
            case "GET" | "HEAD", "activate", "":
                return self._on_the_phone(secret)
            case "POST", "activate", "":
                return self._activate(call, secret)
            case "GET" | "HEAD", "frame", _ if rest == "qr":
                return self._barcode(Secret.of(call.parameters().get("value", "")))
            case _:
                return None

    def _on_the_computer(self, code: Secret) -> Reply:
        invitation = self._enrolment.read(code)
        if invitation is None:
            return self._void(code)
        address = self._links.activation(code)
        return self._templates.page(
            "enroll.html",
            username=invitation.username,
            here_only=self._links.reach_no_phone(),
            address=address,
            code=code.reveal().decode(),
            qr=svg(address, "QR code that opens the set-up page on your phone"),
        )

    async def _state(self, code: Secret) -> Reply:
        state = self._enrolment.state(code)
        if state is ActivationState.WAITING:
            await self._changes.wait((ACTIVATED,), _HOLD)
            state = self._enrolment.state(code)
        return Reply(200, state.value.encode(), headers=(*SECURITY_HEADERS, ("Cache-Control", "no-store")))

    def _on_the_phone(self, code: Secret) -> Reply:
        invitation = self._enrolment.read(code)
        if invitation is None:
            return self._void(code)
        return self._templates.page(
            "activate.html", username=invitation.username, code=code.reveal().decode()
        )

    def _activate(self, call: Call, code: Secret) -> Reply:
        # The address holds the secret here; that no other site made the browser send it is all that is to check.
        if not self._forms.same_origin(call):
            return see_other(call.path)
        phone = self._enrolment.activate(code, _kind(call.header("user-agent")))
        if phone is None:
            return self._void(code)
        self._changes.tell(ACTIVATED, phone.device.device_id)
        return see_other("/", [PHONE.write(call, (*PHONE.read(call), phone.token))])

    def _barcode(self, code: Secret) -> Reply:
        if self._enrolment.read(code) is None:
            return plain(404, "There is no such code.")
        drawn = svg(self._links.activation(code), "QR code")
        headers = (*SECURITY_HEADERS, ("Cache-Control", "no-store"))
        return Reply(200, drawn.encode(), "image/svg+xml", headers)

    def _void(self, code: Secret) -> Reply:
        used = self._enrolment.state(code) is ActivationState.SUCCESS
        return self._templates.page("void.html", 404 if not used else 410, used=used)


def _kind(user_agent: str) -> str:
    return next((name for pattern, name in _KINDS if pattern.search(user_agent)), "Phone")
