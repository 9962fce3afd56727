"""Secrets: text, or where to find it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from authproxy.config.document import Entries, Scalar
from authproxy.config.options.reads import NAMED, Reads, text_of, wrong
from authproxy.config.reading import Reading, SecretUnavailable
from authproxy.config.secret_sources import SOURCES, read_source
from authproxy.secret import Secret


def _secret(node: object, reading: Reading) -> Secret:
    if isinstance(node, Entries):
        try:
            secret = read_source(node, reading)
        except SecretUnavailable as unavailable:
            wrong(str(unavailable))
        return secret
    text = text_of(node, what="a secret")
    if isinstance(node, Scalar):
        if node.commented:
            wrong("put it in quotes: a # follows, and YAML ignores everything after it")
        reading.saw(node, None, secret=True)
    return Secret.of(text)


_SECRET_SCHEMA = {
    "anyOf": [
        NAMED,
        {
            "type": "object",
            "properties": {
                name: {**NAMED, "description": description} for name, description in SOURCES.items()
            },
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        },
    ]
}


class _OpaqueSecret:
    """Lets pydantic hold a Secret: it is checked to be one, and never shown."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.is_instance_schema(Secret)


SecretOption = Annotated[Secret, _OpaqueSecret(), Reads(_secret, "a secret", _SECRET_SCHEMA)]
