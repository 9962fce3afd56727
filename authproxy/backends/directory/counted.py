"""Under which name the wrong passwords of a bind are counted (A10): its entry's, however the name is written.

A directory takes a DN with any spaces and capitals, a principal name, `DOMAIN\\user`; if each of them were counted for
itself, a few forms of one name would be enough to have the directory lock the account.
"""

from __future__ import annotations

from collections import OrderedDict

from authproxy.backends.directory.connection import LdapConnection
from authproxy.backends.directory.directory import Directory
from authproxy.backends.directory.lookup import User
from authproxy.backends.directory.names import PlainName, bare, read_name
from authproxy.backends.directory.server import Server
from authproxy.pipeline.ports import Clock, Refused

_MOST = 65_536
_FRESH = 300.0  # seconds; what is forgotten is looked up again


class CountedNames:
    """Of one directory."""

    def __init__(self, directory: Directory, *, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, str]] = OrderedDict()

    async def of(self, typed: str, deadline: float) -> str:
        """The entry's own name; of a name that no entry has, what its forms have in common.

        Raises PrimaryUnavailable.
        """
        known = self._known.get(typed)
        if known is not None and self._clock() < known[0]:
            return known[1]
        name = read_name(typed)
        if isinstance(name, PlainName):
            return bare(typed)

        async def ask(server: Server, until: float) -> User | Refused:
            async def find(connection: LdapConnection) -> User | Refused:
                return await self._directory.lookup.find(connection, server.root, name, until)

            return await server.search(find, until)

        found = await self._directory.consult(ask, deadline)
        if isinstance(found, Refused):
            return bare(typed)
        self._remember(typed, found.username.canonical)
        return found.username.canonical

    def _remember(self, typed: str, name: str) -> None:
        self._known[typed] = self._clock() + _FRESH, name
        self._known.move_to_end(typed)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
