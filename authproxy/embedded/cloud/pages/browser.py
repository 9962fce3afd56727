"""What all pages need: headers, cookies, and proof that a form came from our page.

There is no inline script or style, so the content security policy allows none.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2

from authproxy.embedded.cloud.store.sealing import Seal
from authproxy.embedded.cloud.web import Call, Reply
from authproxy.secret import Secret
from authproxy.values import light_dataclass

_HERE = Path(__file__).parent
_COOKIE_LIFE = 400 * 86400  # seconds; browsers allow no more
_MOST_ACCOUNTS = 8

SECURITY_HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    # Not no-referrer: with that a browser hides the origin of our own forms from us.
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()"),
)
_FRESH = (*SECURITY_HEADERS, ("Cache-Control", "no-store"))


class Templates:
    """Every value is escaped; a missing value is an error."""

    def __init__(self) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def page(
        self, name: str, status: int = 200, headers: Sequence[tuple[str, str]] = (), **values: object
    ) -> Reply:
        html = self._environment.get_template(name).render(values)
        return Reply(status, html.encode(), "text/html; charset=utf-8", (*_FRESH, *headers))


def plain(status: int, text: str) -> Reply:
    """A short answer in plain text."""
    return Reply(status, text.encode(), headers=_FRESH)


def see_other(location: str, headers: Sequence[tuple[str, str]] = ()) -> Reply:
    """The answer to a form: the browser loads the next page, and reloading it sends nothing twice."""
    return Reply(303, b"", "", (("Location", location), *_FRESH, *headers))


@light_dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie of secrets. Over HTTPS, its name binds it to this host; over plain HTTP on loopback, browsers would
    refuse that name.
    """

    name: str
    life: int = _COOKIE_LIFE
    same_site: str = "Lax"  # Strict would leave it out when a link in a message leads here

    def read(self, call: Call) -> tuple[Secret, ...]:
        value = call.cookie(self._full(call))
        return tuple(Secret.of(part) for part in value.split(".")[:_MOST_ACCOUNTS] if part)

    def write(self, call: Call, secrets: Sequence[Secret]) -> tuple[str, str]:
        value = ".".join(secret.reveal().decode() for secret in secrets[-_MOST_ACCOUNTS:])
        life = self.life if value else 0
        secure = "; Secure" if call.secure else ""
        text = (
            f"{self._full(call)}={value}; Path=/; HttpOnly; SameSite={self.same_site}; Max-Age={life}{secure}"
        )
        return "Set-Cookie", text

    def _full(self, call: Call) -> str:
        return f"__Host-{self.name}" if call.secure else self.name


class Forms:
    """A form is ours if it contains a word that only our page could know, and no other site sent it."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def word(self, secrets: Sequence[Secret]) -> str:
        """The word for a hidden field, bound to this browser's cookie."""
        return self._seal.sign(b"form " + b".".join(secret.reveal() for secret in secrets)).hex()

    def is_ours(self, call: Call, secrets: Sequence[Secret]) -> bool:
        word = call.form().get("word", "")
        return self.same_origin(call) and hmac.compare_digest(word.encode(), self.word(secrets).encode())

    @staticmethod
    def same_origin(call: Call) -> bool:
        origin = call.header("origin")
        own = f"{'https' if call.secure else 'http'}://{call.authority}"
        return (not origin or origin.lower() == own.lower()) and call.header("sec-fetch-site") in {
            "",
            "same-origin",
            "none",
        }


_STATIC = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}


def static_files() -> Mapping[str, Reply]:
    """The files that are the same for everybody, by path; read once."""
    kept = {
        f"/static/{path.name}": Reply(
            200,
            path.read_bytes(),
            _STATIC[path.suffix],
            (*SECURITY_HEADERS, ("Cache-Control", "public, max-age=300")),
        )
        for path in sorted((_HERE / "static").iterdir())
        if path.suffix in _STATIC
    }
    # A worker rules over the folder it comes from.
    kept["/sw.js"] = kept["/static/sw.js"]
    kept["/favicon.ico"] = kept["/static/icon.svg"]
    return kept
