"""The text of a challenge, with the user's devices as a menu in one of three forms, and the meaning of its answer. No
I/O.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from enum import StrEnum

from authproxy.pipeline.credential import TypedPasscode, TypedWord, read_factor
from authproxy.pipeline.factor import NoFactor, choose
from authproxy.pipeline.ports import Device, FactorCall
from authproxy.secret import Secret
from authproxy.values import light_dataclass

# RFC 2865 §5.18: what one Reply-Message holds; appliances show the first one only.
MAX_OCTETS = 253
MAX_ANSWER = 2000  # octets; the longest passcode is a 48-letter token's

ENTER_PASSCODE = "Enter passcode: "
_ENTER_ANY = "Enter a passcode, push, phone or sms: "
# The order of the menu, and what each entry is called.
_LABELS = {"push": "Push to", "phone": "Phone call to", "sms": "SMS passcodes to"}


class PromptFormat(StrEnum):
    CONSOLE = "console"  # lines
    HTML = "html"  # for portals that print it into a page
    SHORT = "short"  # one line of names


@light_dataclass(frozen=True, slots=True)
class Entry:
    """A line of the menu. `name` (push1, phone2) can be typed instead of its number."""

    name: str
    label: str
    call: FactorCall


def menu(devices: Sequence[Device]) -> tuple[Entry, ...]:
    """Each factor that can be asked for: by factor, then in the cloud's order of devices."""
    entries = []
    for factor, label in _LABELS.items():
        able = [device for device in devices if factor in device.capabilities]
        for number, device in enumerate(able, 1):
            target = device.display_name or device.id
            entries.append(Entry(f"{factor}{number}", f"{label} {target}", FactorCall(factor, device.id)))
    return tuple(entries)


def prompt(user: str, entries: Sequence[Entry], form: PromptFormat) -> str:
    """The challenge's text, at most 253 octets; a longer menu is shortened."""
    if not entries:
        return ENTER_PASSCODE
    forms = {PromptFormat.CONSOLE: _console, PromptFormat.HTML: _html, PromptFormat.SHORT: _short}
    for text in (forms[form](user, entries), _short(user, entries)):
        if len(text.encode()) <= MAX_OCTETS:
            return text
    return _ENTER_ANY


def _lines(user: str, entries: Sequence[Entry]) -> list[str]:
    options = [f" {number}. {entry.label}" for number, entry in enumerate(entries, 1)]
    last = "1" if len(entries) == 1 else f"1-{len(entries)}"
    return [
        f"Second factor for {user}. Enter a passcode or choose:",
        *options,
        f"Passcode or option ({last}): ",
    ]


def _console(user: str, entries: Sequence[Entry]) -> str:
    return "\n".join(_lines(user, entries))


def _html(user: str, entries: Sequence[Entry]) -> str:
    return "<br>".join(html.escape(line) for line in _lines(user, entries))


def _short(user: str, entries: Sequence[Entry]) -> str:
    return f"Enter a passcode or one of {', '.join(entry.name for entry in entries)}: "


def understand(answer: Secret, devices: Sequence[Device]) -> FactorCall | NoFactor:
    """What an answer asks for: a number of the menu, a factor's name, or else a passcode of any form.

    One or two digits are a number of the menu; a passcode has at least six.
    """
    octets = answer.reveal().strip()
    if not octets or len(octets) > MAX_ANSWER:
        return NoFactor("No answer that can be used.")
    entries = menu(devices)
    if octets.isdigit() and len(octets) <= 2:
        number = int(octets)
        if 1 <= number <= len(entries):
            return entries[number - 1].call
        return NoFactor("No such option.")
    match read_factor(octets):
        case TypedWord() as word:
            chosen = choose(word, (), devices)
            return chosen if isinstance(chosen, FactorCall) else NoFactor("No device for that.")
        case TypedPasscode() | None:
            return FactorCall("passcode", passcode=Secret(octets))
