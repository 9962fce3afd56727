"""The server's end of TLS, octets in and octets out, and the keys that come of it (RFC 5216 §2.3, RFC 9427 §2)."""

from __future__ import annotations

from OpenSSL import SSL

from authproxy.protocols.eap.packet import Type
from authproxy.secret import Secret

_KEYS = 128  # octets: MSK and EMSK
_MSK = 64
_READ = 16 * 1024
# Up to TLS 1.2 each method has its own label (RFC 5281 §8; PEAP took EAP-TLS's, RFC 5216 §2.3).
_LABELS = {Type.TTLS: b"ttls keying material", Type.PEAP: b"client EAP encryption"}
_LABEL_13 = b"EXPORTER_EAP_TLS_Key_Material"


class TunnelFailed(Exception):
    """TLS with this peer failed. The text is OpenSSL's."""


class Tunnel:
    def __init__(self, connection: SSL.Connection) -> None:
        """`connection`: TLS without a socket."""
        self._tls = connection
        self._tls.set_accept_state()
        self.is_established = False

    @property
    def is_tls13(self) -> bool:
        return self._tls.get_protocol_version() >= SSL.TLS1_3_VERSION

    def receive(self, octets: bytes) -> None:
        """Take octets from the peer. Raises TunnelFailed."""
        if not octets:
            return
        try:
            self._tls.bio_write(octets)
            if not self.is_established:
                self._tls.do_handshake()
                self.is_established = True
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            raise TunnelFailed(_text(error)) from None

    def read(self) -> bytes:
        """What the peer has sent inside the tunnel. Raises TunnelFailed."""
        found = bytearray()
        while self.is_established:
            try:
                found += self._tls.recv(_READ)
            except SSL.WantReadError:
                break
            except SSL.Error as error:
                raise TunnelFailed(_text(error)) from None
        return bytes(found)

    def write(self, octets: bytes) -> None:
        """Send octets inside the tunnel. Raises TunnelFailed."""
        try:
            self._tls.sendall(octets)
        except SSL.Error as error:
            raise TunnelFailed(_text(error)) from None

    def outgoing(self) -> bytes:
        """The octets to send to the peer."""
        found = bytearray()
        while True:
            try:
                found += self._tls.bio_read(_READ)
            except SSL.WantReadError:
                return bytes(found)

    def master_session_key(self, method: Type) -> Secret:
        """The MSK. RFC 9427 §2.1: with TLS 1.3, the method's number is the exporter's context."""
        if self.is_tls13:
            keys = self._tls.export_keying_material(_LABEL_13, _KEYS, bytes((method,)))
        else:
            keys = self._tls.export_keying_material(_LABELS[method], _KEYS)
        return Secret(keys[:_MSK])


def _text(error: SSL.Error) -> str:
    if error.args and isinstance(error.args[0], list) and error.args[0]:
        return "; ".join(str(entry[-1]) for entry in error.args[0])
    return type(error).__name__
