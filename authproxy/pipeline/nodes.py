"""What the nodes of one installation tell each other about logins (H4 to H6). backends/shared_state asks them.

None of it can let anybody in that this node wouldn't let in by itself: the password is checked here, and what another
node says of a factor is believed only for the very same login, while it waits there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Protocol

from authproxy.pipeline.ports import FactorAllow, FactorDeny
from authproxy.pipeline.push_limit import PushRules
from authproxy.values import light_dataclass

Verdict = FactorAllow | FactorDeny


@light_dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt that a user is about to get.

    `whose`: whose prompts are counted together. `login`: what two requests have in common that are one login, at
    whatever node, as `identify` tells it. `denial_memory`: seconds for which a denied login isn't asked again (R47).
    """

    whose: str
    login: bytes
    user: str
    section: str
    rules: PushRules
    denial_memory: float
    deadline: float  # the clock's seconds


@light_dataclass(frozen=True, slots=True)
class Held:
    """No prompt now. `why`: `push_pending`, `push_paused`, `push_fraud`."""

    why: str


@light_dataclass(frozen=True, slots=True)
class Repeated:
    """This very login was denied a moment ago; `status` is the cloud's word for it."""

    status: str


class Over(Enum):
    """The login had its prompt, and no node waits for the answer."""

    OVER = 0


class Turn(Enum):
    """Who may answer a challenge."""

    FIRST = 0  # nobody has answered it before
    AGAIN = 1  # it has been answered, at this node or another
    UNKNOWN = 2  # the other nodes can't be asked


class Nodes(Protocol):
    """The other nodes. Nothing here raises: what can't be asked is decided by this node alone."""

    def identify(self, *parts: bytes) -> bytes:
        """The same for the same parts at all nodes. Keyed, so that it tells nobody a password."""

    async def prompt(
        self, prompt: Prompt, ask: Callable[[], Awaitable[Verdict]] | None
    ) -> Verdict | Held | Repeated | Over:
        """Prompt the user, unless the same login waits for its answer at another node: then that is the verdict.

        `ask` None: only if it waits there. Raises what `ask` raises.
        """

    def share(self, most: int) -> int:
        """How much of a limit this node may use: all of it while the others are counted with, else its part (H5)."""

    async def keep(self, challenge: bytes, octets: bytes, seconds: float) -> None:
        """Keep what another node needs to take the answer to this challenge, beside its State."""

    async def answer(self, challenge: bytes, seconds: float) -> tuple[Turn, bytes]:
        """Whether an answer to it is the first one, and what was kept with it; b"" if nothing was."""
