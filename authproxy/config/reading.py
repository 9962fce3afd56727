"""What reading a configuration needs: its folder, the environment, and a list of the files that it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path

from authproxy.config.document import Node
from authproxy.secret import Secret
from authproxy.values import light_dataclass


class SecretUnavailable(Exception):
    """A secret can't be read from its source; the administrator has to act. The text never contains the secret."""


@light_dataclass(frozen=True, slots=True)
class Seen:
    """A file or a secret that an option names."""

    node: Node
    path: Path | None  # None: the secret stands in the configuration itself, or in the environment
    secret: bool


@light_dataclass(frozen=True, slots=True)
class Reading:
    """The context of validation. `folder`: for relative file names; `log_folder`: for a relative log_dir."""

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
