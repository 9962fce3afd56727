"""A peer of our own, from RFC 3748, 5216 and 5281: it types what the test says, and misbehaves where it shall."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

PEAP, TTLS = 25, 21
SUCCESS = b"\x80\x03\x00\x02\x00\x01"


@functools.cache
def server_context(minimum: int = SSL.TLS1_2_VERSION) -> SSL.Context:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "radius")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .sign(key, hashes.SHA256())
    )
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(minimum)
    context.use_certificate(crypto.X509.from_cryptography(certificate))
    context.use_privatekey(key)
    return context


def connect() -> SSL.Connection:
    return SSL.Connection(server_context(), None)


class Peer:
    """`respond(request)` gives the Response to an EAP-Request, whole; `said`: what it was asked inside."""

    def __init__(
        self,
        method: int = PEAP,
        name: bytes = b"alice",
        typed: tuple[bytes, ...] = (b"right",),
        *,
        maximum: int = SSL.TLS1_2_VERSION,
        fragment: int = 1000,
        result: bytes | None = None,
    ) -> None:
        """`result`: what it answers to the Result, instead of agreeing."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(maximum)
        self._tls = SSL.Connection(context, None)
        self._tls.set_connect_state()
        self.method, self._name, self._fragment, self._result = method, name, fragment, result
        self._typed: Iterator[bytes] = iter(typed)
        self._incoming = b""
        self._outgoing: list[bytes] = []
        self._is_up = False
        self.said: list[bytes] = []

    @staticmethod
    def identity(identifier: int = 0) -> bytes:
        return packet(identifier, 1, b"anonymous")

    def respond(self, request: bytes) -> bytes:
        assert request[0] == 1
        assert int.from_bytes(request[2:4], "big") == len(request)
        identifier, kind, data = request[1], request[4], request[5:]
        if kind != self.method:
            return packet(identifier, 3, bytes((self.method,)))
        return packet(identifier, kind, self._step(data))

    def _step(self, data: bytes) -> bytes:
        if self._outgoing:
            return self._outgoing.pop(0)
        flags, at = data[0], 5 if data[0] & 0x80 else 1
        self._incoming += data[at:]
        if flags & 0x40:
            return b"\0"
        message, self._incoming = self._incoming, b""
        self._pieces(self._talk(message))
        return self._outgoing.pop(0)

    def _pieces(self, message: bytes) -> None:
        pieces = [message[at : at + self._fragment] for at in range(0, len(message), self._fragment)] or [b""]
        for number, piece in enumerate(pieces):
            more = 0x40 if number + 1 < len(pieces) else 0
            first = not number and more
            length = len(message).to_bytes(4, "big") if first else b""
            self._outgoing.append(bytes((more | (0x80 if first else 0),)) + length + piece)

    def _talk(self, message: bytes) -> bytes:
        was_up = self._is_up
        if message:
            self._tls.bio_write(message)
        if not self._is_up:
            try:
                self._tls.do_handshake()
                self._is_up = True
            except SSL.WantReadError:
                return self._flush()
        if self.method == TTLS:
            if not was_up:
                self._tls.sendall(avp(1, self._name) + avp(2, next(self._typed).ljust(16, b"\0")))
        elif inside := self._read():
            self.said.append(inside)
            self._tls.sendall(self._inner(inside))
        return self._flush()

    def _inner(self, asked: bytes) -> bytes:
        match asked[0]:
            case 1 if len(asked) == 1:
                return b"\x01" + self._name
            case 6:
                return b"\x06" + next(self._typed)
            case _:  # a Result, with its header
                if self._result is not None:
                    return self._result
                return packet(asked[1], 33, asked[5:])

    def _read(self) -> bytes:
        try:
            return self._tls.recv(16384)
        except SSL.WantReadError:
            return b""

    def _flush(self) -> bytes:
        found = b""
        while True:
            try:
                found += self._tls.bio_read(16384)
            except SSL.WantReadError:
                return found

    def keys(self) -> bytes:
        if self._tls.get_protocol_version() >= SSL.TLS1_3_VERSION:
            label = b"EXPORTER_EAP_TLS_Key_Material"
            return self._tls.export_keying_material(label, 128, bytes((self.method,)))[:64]
        label = b"ttls keying material" if self.method == TTLS else b"client EAP encryption"
        return self._tls.export_keying_material(label, 64)


def packet(identifier: int, kind: int, data: bytes) -> bytes:
    return bytes((2, identifier)) + (5 + len(data)).to_bytes(2, "big") + bytes((kind,)) + data


def avp(code: int, value: bytes, flags: int = 0x40) -> bytes:
    head = code.to_bytes(4, "big") + bytes((flags,)) + (8 + len(value)).to_bytes(3, "big")
    return head + value + bytes(-len(value) % 4)
