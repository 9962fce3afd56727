"""Log events, not prose: a stable name, past tense, then fields."""

from __future__ import annotations

from typing import Protocol

from authproxy.observe.lines import OwnText


class Log(Protocol):
    """`warn`: an administrator may want to act. `error`: something can't work. Fields never contain a secret."""

    def debug(self, event: str, /, **fields: object) -> None: ...

    def info(self, event: str, /, **fields: object) -> None: ...

    def warn(self, event: str, /, **fields: object) -> None: ...

    def error(self, event: str, /, **fields: object) -> None: ...

    def failure(self, event: str, error: BaseException, /, **fields: object) -> None:
        """Log our bug with its traceback, but without local variables."""


class LoginLog(Log, Protocol):
    """A log that takes logins, too."""

    def login(self, at: float, event: str, fields: OwnText, *, warns: bool) -> None:
        """A line for each login that is decided: none of them is ever too many. `at`: seconds since 1970. `warns`: an
        open door let it in (F8).
        """


class NullLog:
    """Logs nothing; for tests and tools."""

    def debug(self, event: str, /, **fields: object) -> None: ...

    def info(self, event: str, /, **fields: object) -> None: ...

    def warn(self, event: str, /, **fields: object) -> None: ...

    def error(self, event: str, /, **fields: object) -> None: ...

    def failure(self, event: str, error: BaseException, /, **fields: object) -> None: ...

    def login(self, at: float, event: str, fields: OwnText, *, warns: bool) -> None: ...
