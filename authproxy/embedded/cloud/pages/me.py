"""Which phones a browser is, by the secrets in its cookie."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from authproxy.embedded.cloud.model import Device, WallClock
from authproxy.embedded.cloud.pages.browser import Cookie
from authproxy.embedded.cloud.store.store import Store
from authproxy.embedded.cloud.web import Answer, Call
from authproxy.secret import Secret
from authproxy.values import light_dataclass

PHONE = Cookie("phone")
_SEEN_EVERY = 60.0  # seconds
# What the page says after an answer; the address names one of these and never a text.
SAID = {
    "approved": ("Approved. You are being logged in.", "good"),
    "denied": ("Denied. Nobody was let in.", "plain"),
    "reported": (
        "Reported, and nobody was let in. Somebody may know your password: change it now.",
        "bad",
    ),
    "late": ("Too late: this request is over.", "plain"),
    "number": ("That was another number, so the login was denied. Try it again.", "bad"),
    "answered": ("You picked up. Approve or hang up below.", "plain"),
    "stale": ("This page was out of date. Try again.", "plain"),
    "code": ("That was not the code. Check your app's clock and try the next one.", "bad"),
    "added": ("The app is ready. Its codes work from now on.", "good"),
    "removed": ("This browser is nobody's phone any more.", "plain"),
}


@light_dataclass(frozen=True, slots=True)
class Me:
    """A browser: its secrets, and the phones that belong to them."""

    secrets: tuple[Secret, ...]
    devices: tuple[Device, ...]


Routes = Mapping[tuple[str, str], Callable[[Call, Me], Awaitable[Answer]]]


def me(call: Call, store: Store, clock: WallClock) -> Me:
    """The devices whose secrets are in the cookie; each is noted as seen."""
    secrets = PHONE.read(call)
    devices = tuple(store.devices.by_pages(secrets))
    now = clock()
    for device in devices:
        if now - device.seen > _SEEN_EVERY:
            store.devices.saw(device.device_id)
    return Me(secrets, devices)
