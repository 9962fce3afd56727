"""Which factor to ask the cloud for: the typed one always wins, then the section's list in its order."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from authproxy.pipeline.credential import FactorWord, Typed, TypedPasscode, TypedWord
from authproxy.pipeline.ports import Device, FactorCall
from authproxy.values import light_dataclass


class Factor(StrEnum):
    """An entry of a section's `factors`."""

    AUTO = "auto"
    PUSH = "push"
    PHONE = "phone"
    PASSCODE = "passcode"


@light_dataclass(frozen=True, slots=True)
class AskPasscode:
    """The factor is a passcode that the user hasn't typed yet: ask for it by a challenge, if the protocol can."""


@light_dataclass(frozen=True, slots=True)
class NoFactor:
    """The user has no device for the factor that was typed or configured. `message` is shown to the user."""

    message: str


Choice = FactorCall | AskPasscode | NoFactor

# By default the cloud calls or pushes, it never texts: an SMS batch is not a login.
_BY_ITSELF = ("push", "phone")


def choose(typed: Typed | None, configured: Sequence[Factor], devices: Sequence[Device]) -> Choice:
    """The one factor to ask for."""
    match typed:
        case TypedPasscode(passcode):
            return FactorCall("passcode", "auto", passcode)
        case TypedWord(FactorWord.AUTO, _):
            return _automatic(devices) or NoFactor("No device can be asked. Append a passcode.")
        case TypedWord(word, number):
            return _numbered(word.value, number, devices)
        case None:
            return _first_usable(configured, devices)


def _capable(capability: str, devices: Sequence[Device]) -> list[Device]:
    return [device for device in devices if capability in device.capabilities]


def _automatic(devices: Sequence[Device]) -> FactorCall | None:
    if any(_capable(capability, devices) for capability in _BY_ITSELF):
        return FactorCall("auto")
    return None


def _numbered(factor: str, number: int | None, devices: Sequence[Device]) -> Choice:
    able = _capable(factor, devices)
    if not able or (number or 1) > len(able):
        return NoFactor(f"No device for {factor}{number or ''}.")
    return FactorCall(factor, device=able[(number or 1) - 1].id)


def _first_usable(configured: Sequence[Factor], devices: Sequence[Device]) -> Choice:
    for factor in configured:
        match factor:
            case Factor.PASSCODE:
                return AskPasscode()
            case Factor.AUTO:
                if (automatic := _automatic(devices)) is not None:
                    return automatic
            case Factor.PUSH | Factor.PHONE:
                if able := _capable(factor.value, devices):
                    return FactorCall(factor.value, device=able[0].id)
    return NoFactor("No factor that can be used here. Append a passcode to the password.")
