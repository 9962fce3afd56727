"""Whether a directory would still let in who had the right password before a reload (F3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from authproxy.backends.directory.connection import LdapConnection
from authproxy.backends.directory.directory import Directory
from authproxy.backends.directory.lookup import User
from authproxy.backends.directory.names import PlainName, read_name
from authproxy.backends.directory.server import Server
from authproxy.pipeline.ports import Admission, Refused
from authproxy.protocols.ldap.dn import Subtree
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class DirectoryAdmission:
    """Implements pipeline.ports.Admission.

    `applications`: where entries may be that need not be people, nor in `security_group_dn`.
    """

    directory: Directory
    applications: Sequence[Subtree] = field(default=(), compare=False)

    async def still(self, earlier: Admission | None, username: str, dn: str, deadline: float) -> bool:
        """Looks the entry up again, by its DN or else by the name that a directory confirmed."""
        if earlier is not None and not isinstance(earlier, DirectoryAdmission):
            return False  # a name that no directory has confirmed
        if any(dn in subtree for subtree in self.applications):
            return True
        name = read_name(dn) if dn else PlainName(username)

        async def ask(server: Server, until: float) -> bool:
            async def find(connection: LdapConnection) -> User | Refused:
                return await self.directory.lookup.find(connection, server.root, name, until)

            user = await server.search(find, until)
            if isinstance(user, Refused) or not (dn or user.username.canonical == username):
                return False
            return await self.directory.is_admitted(server, user, until)

        return await self.directory.consult(ask, deadline)
