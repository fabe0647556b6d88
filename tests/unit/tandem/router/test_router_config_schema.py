"""Every key of upstream's schema is either read or refused with a reason, and none is ours alone."""

import dataclasses
from importlib import resources
from typing import get_args, get_origin

import pytest
import yaml
from cli.config_schema import schema_document

from tandem.router.config.decode import fields_of
from tandem.router.config.provider_names import OTHER_PROVIDERS, PROVIDERS
from tandem.router.config.refused import REFUSALS
from tandem.router.config.routing import Algorithm, Annotations, Condition, Limits
from tandem.router.config.settings import Config

SCHEMA = schema_document()


def resolve(schema):
    return SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema


def sections(kind, schema, seen):
    """Yield each dataclass with its part of upstream's schema."""
    if kind in seen:
        return
    seen.add(kind)
    schema = resolve(schema)
    yield kind, schema["properties"]
    for key, field in fields_of(kind).items():
        hint, below = field.hint, schema["properties"].get(key, {})
        if get_origin(hint) is tuple:
            hint, below = get_args(hint)[0], resolve(below).get("items", {})
        if (
            dataclasses.is_dataclass(hint)
            and hint.__module__ != "tandem.router.config.values"
            and hint is not Annotations
        ):
            yield from sections(hint, below, seen)


SECTIONS = dict(sections(Config, SCHEMA, set()))


@pytest.mark.parametrize("kind", SECTIONS, ids=lambda kind: kind.__name__)
def test_every_key_is_read_or_refused(kind):
    read, refused, upstream = set(fields_of(kind)), set(REFUSALS.get(kind, ())), set(SECTIONS[kind])
    # The dashboard of upstream reads one key that its router's schema does not know.
    assert read | refused == upstream | ({"setup"} if kind is Config else set())
    assert not read & refused


HARMLESS = [
    pytest.param(SECTIONS[kind][key], value, id=f"{kind.__name__}.{key}")
    for kind, refusals in REFUSALS.items()
    for key, refusal in refusals.items()
    for value in refusal.harmless
]


@pytest.mark.parametrize(("schema", "value"), HARMLESS)
def test_what_is_harmless_is_right_for_upstream(schema, value):
    schema = resolve(schema)
    if value == "off":
        assert schema["properties"]["enabled"]["type"] == "boolean"
    else:
        types = {tuple: "array", bool: "boolean", int: "integer", str: "string"}
        assert schema["type"] == types[type(value)]


def test_no_refusal_is_about_nothing():
    assert set(REFUSALS) <= set(SECTIONS)
    assert {Annotations, Limits}.isdisjoint(SECTIONS)


@pytest.mark.parametrize(("kind", "key"), [(Condition, "type"), (Algorithm, "type")])
def test_every_choice_is_read_or_refused(kind, key):
    field = fields_of(kind)[key]
    (reasons,) = [item.reasons for item in field.constraints if hasattr(item, "reasons")]
    assert set(get_args(field.hint)) | set(reasons) == set(SECTIONS[kind][key]["enum"])


def test_every_provider_is_known():
    document = yaml.load((resources.files("cli") / "model_assets/v0.4/catalog.yaml").read_bytes(), yaml.CSafeLoader)
    providers = {provider["id"]: provider for provider in document["providers"]}
    assert providers.keys() == PROVIDERS | OTHER_PROVIDERS
    for name in PROVIDERS:
        assert "openai/chat-completions@1" in providers[name]["protocols"]
        assert providers[name]["auth"]["strategy"] in ("bearer", "none")
