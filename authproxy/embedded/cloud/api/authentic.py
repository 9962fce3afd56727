"""Who calls: verifies a request's signature over what was received."""

from __future__ import annotations

from authproxy.embedded.cloud.api.errors import ApiError, Code
from authproxy.embedded.cloud.model import Application, WallClock
from authproxy.embedded.cloud.store.applications import Applications, Credentials
from authproxy.embedded.cloud.web import Call
from authproxy.protocols.cloud.signing import Received, Unsigned, verify
from authproxy.secret import Secret


class Authenticity:
    """Verifies each call. Signatures aren't remembered, because clients send the same one again when they retry."""

    def __init__(self, applications: Applications, clock: WallClock, *, legacy: bool) -> None:
        """`legacy`: also accept signatures without a date or with SHA-1."""
        self._applications = applications
        self._clock = clock
        self._legacy = legacy

    def check(self, call: Call) -> Application:
        """The application that signed this request. Raises ApiError."""
        received = Received(call.method, call.host, call.path, call.query, call.headers, call.body)
        found: dict[str, Credentials | None] = {}

        def skey_of(ikey: str) -> Secret | None:
            found[ikey] = known = self._applications.credentials(ikey)
            return None if known is None else known.skey

        try:
            signed = verify(received, skey_of=skey_of, now=self._clock(), legacy=self._legacy)
        except Unsigned as unsigned:
            raise ApiError(Code(unsigned.refusal.value)) from None
        known = found[signed.ikey]
        if known is None:
            raise ApiError(Code.UNKNOWN_KEY)
        return known.application
