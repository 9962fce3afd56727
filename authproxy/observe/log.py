"""Log events, not prose: a stable name, past tense, then fields."""

from __future__ import annotations

from typing import Protocol


class Log(Protocol):
    """`warn`: an administrator may want to act. `error`: we cannot work. Fields never hold a secret."""

    def debug(self, event: str, /, **fields: object) -> None: ...

    def info(self, event: str, /, **fields: object) -> None: ...

    def warn(self, event: str, /, **fields: object) -> None: ...

    def error(self, event: str, /, **fields: object) -> None: ...

    def failure(self, event: str, error: BaseException, /, **fields: object) -> None:
        """Our bug: with its traceback, without its locals."""


class NullLog:
    """Says nothing; for tests and tools."""

    def debug(self, event: str, /, **fields: object) -> None: ...

    def info(self, event: str, /, **fields: object) -> None: ...

    def warn(self, event: str, /, **fields: object) -> None: ...

    def error(self, event: str, /, **fields: object) -> None: ...

    def failure(self, event: str, error: BaseException, /, **fields: object) -> None: ...
