"""Approvals that count again for a moment: an application that binds ten times in one login costs one push (L12, L19).

An approval counts again only if the primary has just verified the password once more, if the cloud still asks this user
for a factor, and if everything that was typed and the address of the client are the same.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from dataclasses import field

from authproxy.pipeline.ports import Verified
from authproxy.pipeline.request import AuthRequest
from authproxy.secret import Secret
from authproxy.values import light_dataclass

MOST_REMEMBERED = 16_384
LONGEST_MEMORY = 300.0  # seconds


@light_dataclass(frozen=True, slots=True)
class _Approval:
    at: float
    users: frozenset[str]  # the entry's name and the typed one, canonical
    password: bytes = field(repr=False)  # its keyed hash, without the factor


class Approvals:
    """The approvals of all sections. A refusal in one section ends the user's approvals in every section."""

    def __init__(self, key: bytes, most: int = MOST_REMEMBERED) -> None:
        """`key`: random octets. `most`: how many approvals are kept; the oldest are dropped first."""
        self._key = key
        self._most = most
        self._sections = 0
        self._approvals: OrderedDict[bytes, _Approval] = OrderedDict()
        self._of_user: dict[str, set[bytes]] = {}

    def __len__(self) -> int:
        return len(self._approvals)

    def of_section(self, memory: float) -> SectionApprovals:
        """A section's own view; no other section sees its approvals. `memory`: seconds; 0: nothing is remembered."""
        self._sections += 1
        return SectionApprovals(self, self._sections, min(memory, LONGEST_MEMORY))

    def get(self, identity: bytes) -> _Approval | None:
        return self._approvals.get(identity)

    def add(self, identity: bytes, approval: _Approval) -> None:
        self.drop(identity)
        self._approvals[identity] = approval
        for user in approval.users:
            self._of_user.setdefault(user, set()).add(identity)
        for oldest, known in list(self._approvals.items()):
            if len(self._approvals) <= self._most and approval.at - known.at < LONGEST_MEMORY:
                break
            self.drop(oldest)

    def drop(self, identity: bytes) -> None:
        approval = self._approvals.pop(identity, None)
        for user in approval.users if approval is not None else ():
            others = self._of_user[user]
            others.discard(identity)
            if not others:
                del self._of_user[user]

    def of_user(self, name: str) -> list[bytes]:
        return list(self._of_user.get(name, ()))

    def clear(self) -> None:
        self._approvals.clear()
        self._of_user.clear()

    def hash(self, *parts: bytes) -> bytes:
        lengths = b"".join([len(part).to_bytes(4, "big") for part in parts])
        return hmac.digest(self._key, lengths + b"".join(parts), "sha256")


class SectionApprovals:
    """The approvals of one section."""

    def __init__(self, store: Approvals, section: int, memory: float) -> None:
        self._store = store
        self._section = section
        self._memory = memory
        self._ended = False

    @property
    def kept(self) -> bool:
        return self._memory > 0

    def remember(self, request: AuthRequest, verified: Verified, password: Secret, now: float) -> None:
        """This login's user has just approved it. `password`: the one that the primary verified."""
        if self.kept:
            users = frozenset((verified.username, request.username.canonical))
            approval = _Approval(now, users, self._store.hash(password.reveal()))
            self._store.add(self._identify(request, verified), approval)

    def recall(self, request: AuthRequest, verified: Verified, password: Secret, now: float) -> bool:
        """Whether the same login was approved a moment ago.

        If the primary now verifies another password than the approved one, the password has been changed, and the
        approval is forgotten.
        """
        store = self._store
        taken = store.hash(password.reveal())
        for identity in store.of_user(verified.username):
            known = store.get(identity)
            if known is not None and not hmac.compare_digest(known.password, taken):
                store.drop(identity)
        counts = self.kept and not self._ended
        approval = store.get(self._identify(request, verified)) if counts else None
        return approval is not None and now - approval.at < self._memory

    def end(self) -> None:
        """Its configuration is an earlier one now: who waits under it is asked again, like everybody."""
        self._ended = True

    def forget_user(self, *names: str) -> None:
        """Forget the approvals of a user, in every section, after a refusal. The names are canonical."""
        for name in names:
            for identity in self._store.of_user(name):
                self._store.drop(identity)

    def forget_all(self) -> None:
        """Forget everything, in every section: a password was changed, and it isn't known whose."""
        self._store.clear()

    def _identify(self, request: AuthRequest, verified: Verified) -> bytes:
        return self._store.hash(
            self._section.to_bytes(8, "big"),
            request.client.encode(),
            request.calling_station,
            request.username.canonical.encode(),
            request.password.reveal(),
            verified.username.encode(),
            verified.dn.encode(),
        )
