"""Names of files and folders. They start from the configuration's folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from authproxy.config.document import Scalar
from authproxy.config.options.reads import NAMED, Reads, text_of, wrong
from authproxy.config.reading import Reading
from authproxy.config.regular import read_regular


def _path(node: object, reading: Reading) -> Path:
    return reading.path(text_of(node, what="one file name"))


def _opened(node: object, reading: Reading, *, secret: bool) -> Path:
    path = _path(node, reading)
    if reading.touch:
        try:
            read_regular(path, 1)
        except OSError as error:
            wrong(f"{path}: {error.strerror}")
        if isinstance(node, Scalar):
            reading.saw(node, path, secret=secret)
    return path


def _file(node: object, reading: Reading) -> Path:
    return _opened(node, reading, secret=False)


def _key_file(node: object, reading: Reading) -> Path:
    return _opened(node, reading, secret=True)


def _log_folder(node: object, reading: Reading) -> Path:
    return reading.log_folder / text_of(node, what="one folder")


def _folder(node: object, reading: Reading) -> Path:
    path = _path(node, reading)
    if reading.touch and not os.path.isdir(path):
        wrong(f"{path}: not a folder")
    return path


PathOption = Annotated[Path, Reads(_path, "a path", NAMED, is_path=True)]
FileOption = Annotated[Path, Reads(_file, "an existing file", NAMED, is_path=True)]
KeyFileOption = Annotated[Path, Reads(_key_file, "an existing file", NAMED, is_path=True)]
LogFolderOption = Annotated[Path, Reads(_log_folder, "a folder", NAMED, is_path=True)]
FolderOption = Annotated[Path, Reads(_folder, "an existing folder", NAMED, is_path=True)]
