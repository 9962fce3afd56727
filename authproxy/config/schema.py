"""The configuration's JSON Schema, with which editors complete and check YAML. `authproxy check` checks more."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from authproxy.config.fields import is_secret, item_model
from authproxy.config.model.kinds import SERVED, SINGLE
from authproxy.config.model.section import Family, GroupFamily, Section

_SEALED = {"type": "string", "pattern": "^v1\\."}


def json_schema() -> dict[str, Any]:
    """The schema of a YAML configuration (draft 7, which editors know best)."""
    definitions: dict[str, Any] = {}
    sections: dict[str, Any] = {}
    for name, kind in SERVED.items():
        definitions[name] = _section(kind, definitions)
        digits = "" if name in SINGLE else "[0-9]*"
        sections[f"^{name}{digits}$"] = {"$ref": f"#/definitions/{name}"}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "authproxy",
        "type": "object",
        "patternProperties": sections,
        "additionalProperties": False,
        "minProperties": 1,
        "definitions": definitions,
    }


class _Plain(GenerateJsonSchema):
    """Without a title for each option: editors show the option's own name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _section(kind: type[Section], definitions: dict[str, Any]) -> dict[str, Any]:
    schema = _tidied(kind.model_json_schema(ref_template="#/definitions/{model}", schema_generator=_Plain))
    for name, definition in schema.pop("$defs", {}).items():
        definition.pop("title", None)
        definitions[name] = _tidied(definition)
    schema.pop("title", None)
    properties = schema["properties"]
    for alias, option in kind.ALIASES.items():
        properties[alias] = properties[option]
    for option in kind.IGNORED:
        properties[option] = {"deprecated": True}
    either = []
    for option, field in kind.model_fields.items():
        if is_secret(field):
            properties[f"{option}_protected"] = _SEALED
            if field.is_required():
                either.append((option, f"{option}_protected"))
    patterns: dict[str, Any] = {}
    for family in kind.FAMILIES:
        patterns |= _family(family, kind, properties, definitions)
        if family.option in schema.get("required", ()):
            first = family.stem if isinstance(family, Family) else family.required[0]
            either.append((family.option, f"{first}_1"))
    schema["required"] = [option for option in schema.get("required", ()) if option not in dict(either)]
    if either:
        schema["allOf"] = [{"anyOf": [{"required": [name]} for name in names]} for names in either]
    if not schema["required"]:
        # `main:` with nothing below it is what a file has whose options are all commented out.
        schema["type"] = ["object", "null"]
    return {**schema, "patternProperties": patterns}


def _family(
    family: Family | GroupFamily, kind: type[Section], properties: dict[str, Any], definitions: dict[str, Any]
) -> dict[str, Any]:
    """The numbered options of a family."""
    if isinstance(family, Family):
        return {_numbered(family.stem): properties[family.option]["anyOf"][0]}
    model = item_model(kind.model_fields[family.option])
    if model is None:
        return {}
    patterns = {}
    for stem, option in family.stems.items():
        patterns[_numbered(stem)] = definitions[model.__name__]["properties"][option]
        if is_secret(model.model_fields[option]):
            patterns[_numbered(f"{stem}_protected")] = _SEALED
    return patterns


def _numbered(stem: str) -> str:
    return f"^{stem}_[1-9][0-9]*$"


def _tidied(schema: dict[str, Any]) -> dict[str, Any]:
    """Nothing here may be null, and a default that is nothing says nothing."""
    for option, described in schema["properties"].items():
        kinds = [kind for kind in described.pop("anyOf", ()) if kind != {"type": "null"}]
        if described.get("default") in (None, "", []):
            described.pop("default", None)
        schema["properties"][option] = (
            kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {}
        ) | described
    return schema
