"""What a section's `attributes` mean: rules for the pipeline, in octets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from authproxy.config.model import RadiusServer
from authproxy.config.model.attributes import AttributeRule, AttributesFrom
from authproxy.config.problems import suggestion
from authproxy.pipeline.grants import Grants, Rule
from authproxy.pipeline.username import canonical
from authproxy.protocols.radius.dictionary import Dictionary
from authproxy.protocols.radius.packet import encode_attributes
from authproxy.protocols.radius.settings import Granted, MalformedSetting, encode_setting, read_setting

# Octets: an Accept has 4,096, and its own attributes, those of a primary and a proxy's states in them (R6).
_MOST_OF_A_RULE = 2048

Place = tuple[str | int, ...]


def grants(options: RadiusServer, dictionary: Dictionary, problem: Callable[[Place, str], None]) -> Grants:
    """The rules of a section. `problem` is called for each attribute that can't be sent, with its place."""
    rules = []
    for index, rule in enumerate(options.attributes):
        attributes = []
        for number, text in enumerate(rule.send):
            place = ("attributes", index, "send", number)
            try:
                attributes.append(granted(text, dictionary))
            except MalformedSetting as malformed:
                problem(place, str(malformed))
        size = len(encode_attributes(each.attribute for each in attributes))
        if size > _MOST_OF_A_RULE:
            problem(("attributes", index, "send"), f"{size} octets; {_MOST_OF_A_RULE} is the most")
        rules.append(_rule(rule, attributes))
    return Grants(tuple(rules), every=options.attributes_from is AttributesFrom.ALL)


def granted(text: str, dictionary: Dictionary) -> Granted:
    """An attribute, as written in the configuration, in octets. Raises MalformedSetting."""
    setting = read_setting(text)
    definition = dictionary.find(setting.name)
    if definition is None:
        known = suggestion(setting.name, dictionary.names())
        raise MalformedSetting(f"no dictionary has an attribute {setting.name}{known}")
    values: Mapping[str, int] = dictionary.values(definition.name)
    return encode_setting(setting, definition, values)


def _rule(rule: AttributeRule, attributes: Iterable[Granted]) -> Rule:
    return Rule(tuple(attributes), group=rule.group or "", user=canonical(rule.user or ""))
