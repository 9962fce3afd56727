"""Users by name."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from authproxy.config.options.reads import wrong
from authproxy.config.options.simple import Text
from authproxy.pipeline.username import MalformedUsername, read_username


def _readable_name(name: str) -> str:
    try:
        read_username(name.encode())
    except MalformedUsername as malformed:
        wrong(str(malformed))
    return name


UserName = Annotated[Text, AfterValidator(_readable_name)]
