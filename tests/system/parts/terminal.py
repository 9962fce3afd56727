"""A program at a terminal of its own, and somebody who types when it asks."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.system.parts.needs import needs


@dataclass(frozen=True, slots=True)
class Shown:
    """`code`: the exit code; None when it was ended because it asked for more, or for too long."""

    code: int | None
    text: str


def type_in(
    command: Sequence[str],
    answers: Sequence[tuple[str, str]],
    *,
    env: Mapping[str, str] | None = None,
    timeout: float = 90,
) -> Shown:
    """Each answer when its prompt (a regular expression) is shown; an answer that isn't asked for is left over.

    A prompt that has been answered, shown again, ends the program: what was typed has not been taken.
    """
    ours, its = pty.openpty()
    # Programs that ask for a password open /dev/tty: the terminal has to be the session's.
    process = subprocess.Popen(
        [needs("setsid", "util-linux"), "--ctty", *command],
        stdin=its,
        stdout=its,
        stderr=its,
        env=os.environ | dict(env or {}),
    )
    os.close(its)
    try:
        return _converse(process, ours, list(answers), time.monotonic() + timeout)
    finally:
        os.close(ours)
        if process.poll() is None:
            process.kill()
        process.wait(10)


def _converse(
    process: subprocess.Popen[bytes], terminal: int, answers: list[tuple[str, str]], until: float
) -> Shown:
    text, unread = "", ""
    answered: list[str] = []
    while (left := until - time.monotonic()) > 0:
        if not select.select([terminal], [], [], left)[0]:
            break
        heard = b""
        with contextlib.suppress(OSError):  # Linux says EIO when nobody has the other side open
            heard = os.read(terminal, 65536)
        if not heard:
            return Shown(process.wait(10), text)
        said = heard.decode("utf-8", "replace")
        text += said
        unread += said
        if any(re.search(prompt, unread) for prompt in answered):
            break
        if answers and (found := re.search(answers[0][0], unread)) is not None:
            unread = unread[found.end() :]
            prompt, answer = answers.pop(0)
            answered.append(prompt)
            os.write(terminal, answer.encode() + b"\n")
    return Shown(None, text)
