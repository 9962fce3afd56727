"""What `authproxy explain` tells: rules, each with its word, and what they come to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from authproxy.backends.directory.look import Seen
from authproxy.pipeline.username import Username
from authproxy.service.outlook import Known, Outlook


class Word(StrEnum):
    """What a rule says of this user."""

    YES = "yes"
    NO = "no"
    NOTE = "note"  # true of everybody here
    UNKNOWN = "unknown"  # could not be asked


@dataclass(frozen=True, slots=True)
class Rule:
    what: str
    word: Word
    detail: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """`complete` False: somebody who had to be asked did not answer."""

    user: str
    section: str
    kind: str
    rules: tuple[Rule, ...]
    now: Outlook
    outage: Outlook

    @property
    def complete(self) -> bool:
        return all(rule.word is not Word.UNKNOWN for rule in self.rules)


@dataclass(slots=True)
class Findings:
    """What is known so far."""

    known: Known
    username: Username | None = None
    seen: Seen | None = None
