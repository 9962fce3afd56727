"""Describes our bugs: what was raised and where, never the values of variables (S1, S10).

Source lines are left out too: reading them would block the event loop (A2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

_MOST_FRAMES = 24
_MOST_CAUSES = 4
_ROOT = str(Path(__file__).resolve().parents[2]) + "/"
_QUOTED = re.compile(r"""['"].*['"]""", re.DOTALL)
# Their texts name code, not values.
_HARMLESS = (AttributeError, NameError, ImportError)


def describe(error: BaseException) -> dict[str, str]:
    """Fields for a log event: `error`, `problem`, `traceback`."""
    chain = list(_chain(error))
    return {
        "error": " < ".join(type(link).__name__ for link in chain),
        "problem": message_of(error),
        "traceback": " < ".join(where(link.__traceback__) for link in chain),
    }


def message_of(error: BaseException) -> str:
    """The error's text, without values that other people's code may quote in it: one of them may be a password."""
    match error:
        case UnicodeError():
            reason, encoding = getattr(error, "reason", ""), getattr(error, "encoding", "")
            return f"{encoding}: {reason}"
        case OSError() if error.strerror:
            return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    text = str(error)
    if isinstance(error, _HARMLESS) or type(error).__module__.startswith("authproxy."):
        return text
    return masked(text)


def masked(text: str) -> str:
    """A message of other people's code, with everything in quotes left out."""
    return _QUOTED.sub("'…'", text)


def where(traceback: TracebackType | None) -> str:
    """The frames, the innermost last: `authproxy/x.py:12 f > authproxy/y.py:3 g`."""
    frames = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{_short(code.co_filename)}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return " > ".join(frames[-_MOST_FRAMES:])


def _short(path: str) -> str:
    _, packages, inside = path.rpartition("/site-packages/")
    return inside if packages else path.removeprefix(_ROOT)


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if link is None:
            return
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
