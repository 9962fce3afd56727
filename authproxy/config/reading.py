"""What a configuration is read with: the folder it lies in, the environment, and what was seen on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from authproxy.config.document import Node
from authproxy.secret import Secret


class SecretUnavailable(Exception):
    """The administrator: a secret's source can't be read. The text never holds the secret."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A file or a secret that an option led to."""

    node: Node
    path: Path | None  # None: the secret stands in the configuration itself, or in the environment
    secret: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """The context of a validation. `folder`: what relative file names start from; `log_folder`: a relative log_dir."""

    folder: Path
    log_folder: Path
    environ: Mapping[str, str]
    # Opens `{protected: …}`. Raises SecretUnavailable.
    unseal: Callable[[str], Secret]
    # False: files and sealed secrets stay untouched (`convert` may run on another machine than the proxy).
    touch: bool = True
    seen: list[Seen] = field(default_factory=list)

    def path(self, text: str) -> Path:
        return self.folder / text

    def saw(self, node: Node, path: Path | None, *, secret: bool) -> None:
        self.seen.append(Seen(node, path, secret))
