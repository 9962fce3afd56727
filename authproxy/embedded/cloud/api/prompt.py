"""The menu for clients that can show only text, and the meaning of each answer to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from authproxy.embedded.cloud.model import Device, Factor
from authproxy.embedded.cloud.outcomes import Ask, Invalid, PreauthFactors
from authproxy.secret import Secret
from authproxy.values import light_dataclass

_LABELS = {
    Factor.PUSH: "Push a login request to {}",
    Factor.PHONE: "Call {}",
    Factor.SMS: "Text new passcodes to {}",
}
_ID = re.compile(r"(push|phone|sms)([1-9][0-9]?)?")
_PASSCODE = re.compile(r"[0-9]{6,16}")


@light_dataclass(frozen=True, slots=True)
class Option:
    id: str  # push1, phone2: the factor and which of the devices that can do it
    label: str


@light_dataclass(frozen=True, slots=True)
class Prompt:
    text: str
    factors: Mapping[str, str]


def able(devices: Sequence[Device], factor: Factor) -> Sequence[Device]:
    return [device for device in devices if factor.value in device.capabilities]


def prompt(username: str, preauth: PreauthFactors) -> Prompt:
    """`factors` maps what can be typed to an id; `default` is there if there is a factor that needs no typing."""
    options = [
        Option(f"{factor.value}{number}", label.format(device.display_name))
        for factor, label in _LABELS.items()
        if factor in preauth.factors
        for number, device in enumerate(able(preauth.devices, factor), start=1)
    ]
    lines = [f" {number}. {option.label}" for number, option in enumerate(options, start=1)]
    head = f"Login for {username}\n\n"
    if not options:
        return Prompt(f"{head}Enter a passcode: ", {})
    what = "Passcode or option" if Factor.PASSCODE in preauth.factors else "Option"
    menu = "\n".join(("Enter a passcode or select one of the following options:", "", *lines))
    text = f"{head}{menu}\n\n{what} (1-{len(options)}): "
    factors = {str(number): option.id for number, option in enumerate(options, start=1)}
    return Prompt(text, {"default": options[0].id, **factors})


def read_choice(typed: str, devices: Sequence[Device], details: Mapping[str, str]) -> Ask:
    """The request that this answer to the menu means. Raises Invalid."""
    if _PASSCODE.fullmatch(typed):
        return Ask(Factor.PASSCODE, passcode=Secret.of(typed), details=details)
    if typed == "auto":
        return Ask(None, details=details)
    if (chosen := _ID.fullmatch(typed)) is None:
        raise Invalid("prompt")
    factor, number = Factor(chosen[1]), int(chosen[2] or 1)
    can = able(devices, factor)
    if number > len(can):
        raise Invalid("no capable device")
    return Ask(factor, can[number - 1].device_id, details=details)
