"""Append mode: the factor typed behind the password (R27). The text is read in one way; there is no second attempt."""

from __future__ import annotations

import re
from enum import StrEnum

from authproxy.secret import Secret
from authproxy.values import light_dataclass

# `push2` is the second device that can take a push.
_WORD = re.compile(rb"(push|phone|sms|auto)([1-9][0-9]?)?", re.IGNORECASE)
# What the cloud's passcodes look like: app, SMS, token and bypass codes are 6 to 10 digits; a YubiKey types
# 32 to 48 letters that sit alike on every keyboard.
_PASSCODE = re.compile(rb"[0-9]{6,10}|[cbdefghijklnrtuv]{32,48}")


class FactorWord(StrEnum):
    AUTO = "auto"
    PUSH = "push"
    PHONE = "phone"
    SMS = "sms"


@light_dataclass(frozen=True, slots=True)
class TypedWord:
    word: FactorWord
    number: int | None = None  # counted from 1


@light_dataclass(frozen=True, slots=True)
class TypedPasscode:
    passcode: Secret


Typed = TypedWord | TypedPasscode


@light_dataclass(frozen=True, slots=True)
class Credential:
    """What the user typed, split into password and factor."""

    password: Secret
    typed: Typed | None = None


@light_dataclass(frozen=True, slots=True)
class AppendMode:
    """`password_length` is in characters; 0: the delimiter alone says where the password ends."""

    enabled: bool = True
    delimiter: bytes = b","
    password_length: int = 0

    def split(self, typed: Secret) -> Credential:
        """Split off a factor if the end can't be anything else; otherwise everything is the password.

        `,123456` has an empty password; it must not become the password itself (R25).
        """
        if not self.enabled:
            return Credential(typed)
        octets = typed.reveal()
        if self.password_length:
            return self._split_at_length(typed, octets)
        left, found, right = octets.rpartition(self.delimiter)
        if not found:
            return Credential(typed)
        factor = read_factor(right)
        if factor is not None:
            return Credential(Secret(left), factor)
        if not octets.replace(self.delimiter, b""):
            return Credential(Secret(b""))
        return Credential(typed)

    def _split_at_length(self, typed: Secret, octets: bytes) -> Credential:
        try:
            left = octets.decode("utf-8")[: self.password_length].encode("utf-8")
        except UnicodeDecodeError:
            left = octets[: self.password_length]
        right = octets[len(left) :].removeprefix(self.delimiter)
        factor = read_factor(right)
        return Credential(typed) if factor is None else Credential(Secret(left), factor)


def read_factor(octets: bytes) -> Typed | None:
    """The factor that these octets name. None: they don't name one."""
    if _PASSCODE.fullmatch(octets):
        return TypedPasscode(Secret(octets))
    if word := _WORD.fullmatch(octets):
        number = int(word[2]) if word[2] else None
        return TypedWord(FactorWord(word[1].decode("ascii").lower()), number)
    return None
