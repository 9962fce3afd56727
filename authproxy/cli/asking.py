"""Asks whoever runs a command for a password."""

from __future__ import annotations

import getpass
import warnings


class NoTerminal(Exception):
    """There is nobody to ask, or they would see what they type."""

    def __init__(self) -> None:
        super().__init__(
            "there is no terminal on which a password could be typed unseen: use --password-stdin"
        )


def hidden(question: str) -> str:
    """What is typed, which the terminal doesn't show. Raises NoTerminal."""
    with warnings.catch_warnings():
        # Python's would show it, after a warning.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(question)
        except getpass.GetPassWarning:
            raise NoTerminal from None
