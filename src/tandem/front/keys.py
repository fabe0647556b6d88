"""The router's keys: one file for each, named as the configuration refers to it. Values never pass through here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What every header, Envoy's Lua and a shell take as it stands.
KEY = re.compile(r"[A-Za-z0-9._~+/=-]{16,512}")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")

Kind = Literal["CLIENT", "UPSTREAM", "ENGINE"]


@dataclass(frozen=True, order=True)
class Key:
    """A key: whose it is, and the variable that the configuration names it by."""

    kind: Kind
    name: str

    @property
    def variable(self) -> str:
        """Return the name of the variable, of the file and of systemd's credential."""
        return variable(self.kind, self.name)


def variable(kind: Kind, name: str) -> str:
    """Return the variable for a key; names that differ in punctuation alone share one, which the checks refuse."""
    return f"{kind}_{re.sub(r'[^A-Z0-9]', '_', name.upper())}"


def keys_of(settings: Mapping[str, Any], engines: Sequence[Mapping[str, Any]]) -> list[Key]:
    """Return every key that the configuration refers to."""
    clouds = [str(cloud["key"]) for cloud in settings["model_router_cloud_backends"] if cloud.get("key")]
    return [
        *(Key("CLIENT", str(name)) for name in settings["model_router_clients"]),
        *(Key("ENGINE", str(engine["name"])) for engine in engines),
        *(Key("UPSTREAM", name) for name in dict.fromkeys(clouds)),
    ]


def describe(settings: Mapping[str, Any], engines: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the keys as tasks loop over them; ``node`` has the key of an engine."""
    leaders = {str(engine["name"]): str(engine["nodes"][0]) for engine in engines}
    return [
        {"kind": key.kind.lower(), "name": key.name, "variable": key.variable}
        | ({"node": leaders[key.name]} if key.kind == "ENGINE" else {})
        for key in keys_of(settings, engines)
    ]
