"""What a configuration is read with: the folder it lies in, the environment, and where secrets come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from authproxy.secret import Secret


class SecretUnavailable(Exception):
    """The administrator: a secret's source can't be read. The text never holds the secret."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The context of a validation. `folder`: what relative file names start from."""

    folder: Path
    environ: Mapping[str, str]
    # Opens `{protected: …}`. Raises SecretUnavailable.
    unseal: Callable[[str], Secret]
    # False: files and sealed secrets stay untouched (`convert` may run on another machine than the proxy).
    touch: bool = True

    def path(self, text: str) -> Path:
        return self.folder / Path(text).expanduser()
