"""The rules of a section for its logins, as values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from enum import StrEnum

from authproxy.pipeline.credential import AppendMode
from authproxy.pipeline.factor import Factor
from authproxy.pipeline.fail_mode import FailMode, SlowCloud
from authproxy.pipeline.grants import Grants
from authproxy.pipeline.ports import Admission, Verified
from authproxy.pipeline.prompt import PromptFormat
from authproxy.pipeline.request import AuthRequest
from authproxy.values import light_dataclass


class Mode(StrEnum):
    """How a section gets the factor."""

    AUTO = "auto"  # appended, or chosen for the user
    CONCAT = "concat"  # always appended
    CHALLENGE = "challenge"  # asked for after the password
    FACTOR_ONLY = "factor_only"  # the peer has checked the password; what comes here is the factor


@light_dataclass(frozen=True, slots=True)
class Policy:
    fail_mode: FailMode
    mode: Mode = Mode.AUTO
    append: AppendMode = field(default_factory=AppendMode)
    factors: tuple[Factor, ...] = (Factor.AUTO,)
    exempt: frozenset[str] = frozenset()  # canonical names
    # Who else needs no factor, by the entry that the primary confirmed (L11).
    exempts: Callable[[AuthRequest, Verified], bool] = lambda request, verified: False
    prompt_format: PromptFormat = PromptFormat.CONSOLE
    enroll_challenge: bool = True
    radius_primary: bool = (
        False  # the primary has challenges of its own (R38), and checks proofs that we can't
    )
    slow_cloud: SlowCloud = SlowCloud.WAIT
    mark: object = None  # on the session of whoever passes without a second factor (F9); the listener's
    carries: bool = False  # sessions get attributes of the primary's Accept
    grants: Grants = field(default_factory=Grants)
    as_typed: bool = (
        False  # the cloud hears a form of the name that was typed, though a directory confirms whose it is
    )
    no_primary: bool = False  # nobody checks a password: what comes is a factor, or nothing
    admission: Admission | None = None  # the primary's; None: it lets in whoever has a password

    def is_exempt(self, request: AuthRequest, verified: Verified) -> bool:
        """Whether this user needs no second factor: by the name that the primary confirmed, not the typed one (R33)."""
        named = verified.username in self.exempt or self.exempts(request, verified)
        return named and verified.proven

    @property
    def confirms_names(self) -> bool:
        """A directory says what a user is called; else it is what was typed, in one of several forms."""
        return self.asks_a_directory and not self.as_typed

    @property
    def asks_a_directory(self) -> bool:
        return self.checks_passwords and not self.radius_primary

    @property
    def checks_passwords(self) -> bool:
        """False: the client has to have checked the password."""
        return not self.no_primary and self.mode is not Mode.FACTOR_ONLY
