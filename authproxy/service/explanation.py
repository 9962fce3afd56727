"""The result of `authproxy explain`: rules, each with a word, and the outcome."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from authproxy.backends.directory.look import Seen
from authproxy.pipeline.username import Username
from authproxy.service.outlook import Known, Outlook
from authproxy.values import light_dataclass


class Word(StrEnum):
    """What a rule means for this user."""

    YES = "yes"
    NO = "no"
    NOTE = "note"  # true of everybody here
    UNKNOWN = "unknown"  # could not be asked


@light_dataclass(frozen=True, slots=True)
class Rule:
    what: str
    word: Word
    detail: str


@light_dataclass(frozen=True, slots=True)
class Explanation:
    """`complete` False: a server that had to be asked didn't answer."""

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
