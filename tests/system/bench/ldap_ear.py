"""What passes between an LDAP client and the daemon, heard for the oracles: each simple bind, and its result."""

from __future__ import annotations

from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.framing import Frame, Framer
from authproxy.protocols.ldap.requests import BindRequest, Simple, decode_request
from authproxy.protocols.ldap.responses import BIND_RESPONSE, BindResponse, decode_response
from tests.system.bench.journal import Journal, LdapBind, LdapResult

_BIND = 0x60
_MOST = 500_000_000
_PROXY = b"PROXY "


class Ear:
    """Of one connection. `source`: the client's address as the daemon sees it."""

    def __init__(self, journal: Journal, server: tuple[str, int], source: str) -> None:
        self._journal, self._server, self._source = journal, server, source
        self._out = Framer(_MOST)
        self._in = Framer(_MOST, unsolicited=True)
        self._asked: dict[int, int] = {}  # the orders of binds in progress, by message id
        self._binds = 0
        self._deaf = False  # what the client said can't be read

    def sent(self, octets: bytes) -> None:
        if octets.startswith(_PROXY):
            header, _, octets = octets.partition(b"\r\n")
            self._source = header.split()[2].decode()
        if self._deaf:
            return
        try:
            for frame in self._out.feed(octets):
                if frame.tag == _BIND:
                    self._bind(frame)
        except MalformedMessage:
            self._deaf = True

    def _bind(self, frame: Frame) -> None:
        bind = decode_request(frame)
        assert isinstance(bind, BindRequest)
        if not isinstance(bind.authentication, Simple):
            return
        self._binds += 1
        event = self._journal.add(
            LdapBind,
            server=self._server,
            user=bind.name,
            password=bind.authentication.password.reveal(),
            station=self._source.encode(),
            first=self._binds == 1,
        )
        self._asked[frame.message_id] = event.order

    def heard(self, octets: bytes) -> None:
        """What the daemon has said: has to be read to its end."""
        for frame in self._in.feed(octets):
            if frame.tag == BIND_RESPONSE:
                response = decode_response(frame)
                assert isinstance(response, BindResponse)
                request = self._asked.pop(frame.message_id, 0)
                self._journal.add(LdapResult, request=request, result=response.result.code)
