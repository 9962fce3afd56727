"""ldaptor's own proxy, as its documentation starts it: it decodes each message and encodes it again.

Run as a program: python ldaptor_proxy.py PORT DIRECTORY_PORT
"""

from __future__ import annotations

import sys
from functools import partial

from ldaptor.protocols.ldap.ldapclient import LDAPClient  # type: ignore[import-not-found]
from ldaptor.protocols.ldap.ldapconnector import connectToLDAPEndpoint  # type: ignore[import-not-found]
from ldaptor.protocols.ldap.proxybase import ProxyBase  # type: ignore[import-not-found]
from twisted.internet import protocol, reactor


class Factory(protocol.ServerFactory):
    """Each client has a connection to the directory."""

    def __init__(self, directory_port: int) -> None:
        endpoint = f"tcp:host=127.0.0.1:port={directory_port}"
        self._connect = partial(connectToLDAPEndpoint, reactor, endpoint, LDAPClient)

    def buildProtocol(self, addr: object) -> protocol.Protocol:
        proxy: protocol.Protocol = ProxyBase()
        proxy.clientConnector = self._connect  # type: ignore[attr-defined]
        proxy.use_tls = False  # type: ignore[attr-defined]
        return proxy


if __name__ == "__main__":
    port, directory_port = map(int, sys.argv[1:])
    reactor.listenTCP(port, Factory(directory_port), backlog=1024, interface="127.0.0.1")  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]
