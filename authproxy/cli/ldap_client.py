"""An LDAP client like an application: one bind over TLS, and a look at the root DSE. It blocks.

For the command line only; the daemon never blocks.
"""

from __future__ import annotations

import hmac
import socket
import ssl
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.backends.tls import UnusableTrust, read_certificates
from authproxy.config.model import LdapServerAuto
from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.framing import Frame, Framer
from authproxy.protocols.ldap.requests import (
    BindRequest,
    Request,
    Scope,
    SearchRequest,
    Simple,
    UnbindRequest,
    encode_request,
)
from authproxy.protocols.ldap.responses import (
    BindResponse,
    ExtendedResponse,
    Result,
    SearchResultDone,
    decode_response,
)
from authproxy.secret import Secret
from authproxy.values import light_dataclass

_CONNECT = 5.0  # seconds
_MOST = 1024 * 1024
_LOOK = 1.0  # seconds


class NotThere(Exception):
    """Nothing answers, or not the configured server; the text says what was found."""


@light_dataclass(frozen=True, slots=True)
class LdapWay:
    """`certificate`: the one that the server has to show, in DER; None: no TLS. `file`: where it comes from."""

    server: tuple[str, int]
    certificate: bytes | None
    file: Path | None
    announced: bool  # we come from where a balancer does, and have to say so


def ldap_way(section: LdapServerAuto, server: tuple[str, int] | None = None) -> LdapWay:
    """How to reach the section, by LDAPS if it has a certificate. Raises NotThere."""
    certificate = None
    if section.ssl_cert_path is not None:
        try:
            certificate = read_certificates(section.ssl_cert_path)[0].public_bytes(Encoding.DER)
        except UnusableTrust as unusable:
            raise NotThere(str(unusable)) from None
    host = section.interface[0] if section.interface else ""
    port = section.ssl_port if section.has_tls else section.port
    if not port and server is None:
        raise NotThere(
            "the section listens on any free port: give --server HOST:PORT, as in the daemon's `ready` line"
        )
    if not host or ip_address(host).is_unspecified:
        host = "::1" if host == "::" else "127.0.0.1"
    address = server or (host, port)
    own = ip_address(address[0])
    announced = own.is_loopback and any(own in network for network in section.proxy_protocol_from)
    return LdapWay(address, certificate, section.ssl_cert_path, announced)


class LdapClient:
    """One connection. It sends nothing before the server has shown the right certificate."""

    def __init__(self, way: LdapWay) -> None:
        """Raises NotThere."""
        self._framer = Framer(_MOST, unsolicited=True)
        self._frames: list[Frame] = []
        try:
            self._socket = socket.create_connection(way.server, _CONNECT)
        except OSError as error:
            raise NotThere(f"no connection: {error.strerror or error}") from None
        try:
            if way.announced:
                self._socket.sendall(b"PROXY UNKNOWN\r\n")
            if way.certificate is not None:
                self._start_tls(way.certificate, way.file)
        except BaseException:
            self._socket.close()
            raise

    def _start_tls(self, certificate: bytes, file: Path | None) -> None:
        # Not by an authority: this very certificate is in the configuration.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            tls = context.wrap_socket(self._socket)
        except (OSError, ValueError) as error:
            raise NotThere(f"no TLS: {error}") from None
        self._socket = tls
        if not hmac.compare_digest(tls.getpeercert(binary_form=True) or b"", certificate):
            tls.close()
            raise NotThere(f"it shows another certificate than {file}: has it to be reloaded?")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def bind(
        self, name: str, password: Secret, timeout: float, waiting: Callable[[float], None] = lambda _: None
    ) -> Result:
        """`waiting` is called regularly with the seconds waited. Raises NotThere."""
        response = self._ask(BindRequest(name, Simple(password)), timeout, waiting)
        if not isinstance(response, BindResponse):
            raise NotThere("no answer to a bind came")
        self._send(2, UnbindRequest())
        return response.result

    def root(self, timeout: float) -> None:
        """Read the root DSE. Raises NotThere."""
        request = SearchRequest("", Scope.BASE, attributes=("1.1",))
        response = self._ask(request, timeout, lambda _: None)
        if not isinstance(response, SearchResultDone):
            raise NotThere("no answer to a search came")

    def _ask(self, request: Request, timeout: float, waiting: Callable[[float], None]) -> object:
        """The last message about it."""
        self._send(1, request)
        while True:
            response = self._response(timeout, waiting)
            if isinstance(response, BindResponse | SearchResultDone | ExtendedResponse):
                return response

    def _send(self, message_id: int, request: Request) -> None:
        try:
            self._socket.sendall(encode_request(message_id, request))
        except OSError as error:
            raise NotThere(f"the connection broke: {error.strerror or error}") from None

    def _response(self, timeout: float, waiting: Callable[[float], None]) -> object:
        began = time.monotonic()
        self._socket.settimeout(_LOOK)
        while not self._frames:
            try:
                data = self._socket.recv(65_536)
            except TimeoutError:
                passed = time.monotonic() - began
                if passed > timeout:
                    raise NotThere(f"no answer within {timeout:.0f} s") from None
                waiting(passed)
                continue
            except OSError as error:
                raise NotThere(f"the connection broke: {error.strerror or error}") from None
            if not data:
                raise NotThere("the connection was closed")
            try:
                self._frames = self._framer.feed(data)
            except MalformedMessage as malformed:
                raise NotThere(f"it speaks no LDAP: {malformed}") from None
        try:
            return decode_response(self._frames.pop(0))
        except MalformedMessage as malformed:
            raise NotThere(f"it speaks no LDAP: {malformed}") from None
