"""The file `rank.json`: what one supervisor must know. Strict, because a typo here is found at boot, unattended."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tandem.errors import TandemError

if TYPE_CHECKING:
    from collections.abc import Mapping


class ConfigError(TandemError):
    """A configuration that cannot be used; names the file, the key, what was found and what was expected."""


@dataclass(frozen=True)
class Member:
    """One rank's place: the node's name and its address on the link."""

    node: str
    address: str


@dataclass(frozen=True)
class Api:
    """Where rank 0 serves the OpenAI-compatible interface."""

    address: str
    port: int
    model: str


@dataclass(frozen=True)
class Group:
    """How the supervisors of one engine keep in touch."""

    port: int
    heartbeat_interval_sec: float
    heartbeat_timeout_sec: float


@dataclass(frozen=True)
class Probe:
    """How often the engine is asked for a token, and how long it may keep silent."""

    interval_sec: float
    timeout_sec: float
    stall_timeout_sec: float
    start_timeout_sec: float


@dataclass(frozen=True)
class Weights:
    """The model directory and the manifest it has to match before a start."""

    directory: Path
    manifest: Path


@dataclass(frozen=True)
class Fabric:
    """Where the verdicts of the fabric gate lie, and the link that they must be good for."""

    directory: Path
    link: str


@dataclass(frozen=True)
class RankConfig:
    """Everything in `rank.json`."""

    engine: str
    rank: int
    ranks: tuple[Member, ...]
    command: tuple[str, ...]
    api: Api | None
    group: Group | None
    probe: Probe
    weights: Weights | None
    stop_grace_sec: float = 20.0
    fabric: Fabric | None = None
    """None for an engine of one node, which needs no fabric."""

    @property
    def own(self) -> Member:
        """This rank's place."""
        return self.ranks[self.rank]

    @property
    def leader(self) -> Member:
        """Rank 0's place."""
        return self.ranks[0]


def load_config(path: Path) -> RankConfig:
    """Read and check `path`, or raise ConfigError."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: is not JSON: {error}") from error
    try:
        return parse_config(document)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def parse_config(document: object) -> RankConfig:
    """Check a decoded document and return it typed."""
    top = _Table(
        document,
        "",
        {"engine", "rank", "ranks", "command", "api", "group", "probe", "weights"},
        optional={"stop_grace_sec", "fabric"},
    )
    config = RankConfig(
        engine=top.text("engine"),
        rank=top.integer("rank", 0, 65535),
        ranks=tuple(_member(item, f"ranks[{index}]") for index, item in enumerate(top.items("ranks"))),
        command=tuple(top.texts("command")),
        api=_api(top.value["api"]),
        group=_group(top.value["group"]),
        probe=_probe(top.value["probe"]),
        weights=_weights(top.value["weights"]),
        stop_grace_sec=top.seconds("stop_grace_sec") if "stop_grace_sec" in top.value else 20.0,
        fabric=_fabric(top.value.get("fabric")),
    )
    _check_whole(config)
    return config


def _check_whole(config: RankConfig) -> None:
    """Refuse what each key alone cannot show."""
    if config.rank >= len(config.ranks):
        raise ConfigError(f"rank: found {config.rank}, but ranks lists only {len(config.ranks)} (0 is the first)")
    addresses = [member.address for member in config.ranks]
    if len(set(addresses)) != len(addresses):
        raise ConfigError(f"ranks: two ranks share an address: {', '.join(addresses)}")
    if len(config.ranks) > 1 and config.group is None:
        raise ConfigError(f"group: is null, but {len(config.ranks)} ranks need it to find each other")
    if config.rank == 0 and config.api is None:
        raise ConfigError("api: is null, but rank 0 serves the interface")
    if config.rank > 0 and config.api is not None:
        raise ConfigError(f"api: only rank 0 serves it; set it to null for rank {config.rank}")
    if not Path(config.command[0]).is_absolute():
        raise ConfigError(f"command: expected an absolute path first, found {config.command[0]!r}")
    group = config.group
    if group is not None and group.heartbeat_timeout_sec < 2 * group.heartbeat_interval_sec:
        raise ConfigError(
            f"group.heartbeat_timeout_sec: found {group.heartbeat_timeout_sec:g}, expected at least twice "
            f"heartbeat_interval_sec ({group.heartbeat_interval_sec:g})"
        )
    if config.probe.stall_timeout_sec < 2 * config.probe.interval_sec:
        raise ConfigError(
            f"probe.stall_timeout_sec: found {config.probe.stall_timeout_sec:g}, expected at least twice "
            f"interval_sec ({config.probe.interval_sec:g}), or progress could not be seen in time"
        )


def _member(value: object, where: str) -> Member:
    table = _Table(value, where, {"node", "address"})
    return Member(node=table.text("node"), address=table.address("address"))


def _api(value: object) -> Api | None:
    if value is None:
        return None
    table = _Table(value, "api", {"address", "port", "model"})
    return Api(table.address("address"), table.integer("port", 1, 65535), table.text("model"))


def _group(value: object) -> Group | None:
    if value is None:
        return None
    table = _Table(value, "group", {"port", "heartbeat_interval_sec", "heartbeat_timeout_sec"})
    return Group(
        table.integer("port", 1, 65535),
        table.seconds("heartbeat_interval_sec"),
        table.seconds("heartbeat_timeout_sec"),
    )


def _probe(value: object) -> Probe:
    table = _Table(value, "probe", {"interval_sec", "timeout_sec", "stall_timeout_sec", "start_timeout_sec"})
    return Probe(
        table.seconds("interval_sec"),
        table.seconds("timeout_sec"),
        table.seconds("stall_timeout_sec"),
        table.seconds("start_timeout_sec"),
    )


def _weights(value: object) -> Weights | None:
    if value is None:
        return None
    table = _Table(value, "weights", {"directory", "manifest"})
    return Weights(table.path("directory"), table.path("manifest"))


def _fabric(value: object) -> Fabric | None:
    if value is None:
        return None
    table = _Table(value, "fabric", {"directory", "link"})
    return Fabric(table.path("directory"), table.text("link"))


class _Table:
    """A JSON object with exactly the keys it may have."""

    def __init__(self, value: object, where: str, required: set[str], *, optional: set[str] | None = None) -> None:
        if not isinstance(value, dict):
            raise ConfigError(f"{where or 'the document'}: expected an object, found {_shown(value)}")
        self.value = cast("Mapping[str, Any]", value)
        self._prefix = f"{where}." if where else ""
        known = required | (optional or set())
        for key in sorted(value.keys() - known):
            raise ConfigError(f"{self._prefix}{key}: unknown key; known are {', '.join(sorted(known))}")
        for key in sorted(required - value.keys()):
            raise ConfigError(f"{self._prefix}{key}: is missing")

    def text(self, key: str) -> str:
        value = self.value[key]
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise self._wrong(key, "a text")
        return value

    def texts(self, key: str) -> list[str]:
        items = self.items(key)
        if not all(isinstance(item, str) and "\0" not in item for item in items):
            raise self._wrong(key, "a list of texts")
        return cast("list[str]", items)

    def items(self, key: str) -> list[object]:
        value = self.value[key]
        if not isinstance(value, list) or not value:
            raise self._wrong(key, "a list that is not empty")
        return value

    def integer(self, key: str, least: int, most: int) -> int:
        value = self.value[key]
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self._wrong(key, f"a whole number from {least} to {most}")
        return value

    def seconds(self, key: str) -> float:
        value = self.value[key]
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 1e6:
            raise self._wrong(key, "a number of seconds above 0")
        return float(value)

    def address(self, key: str) -> str:
        value = self.value[key]
        try:
            return str(ipaddress.ip_address(value if isinstance(value, str) else ""))
        except ValueError:
            raise self._wrong(key, "an IP address") from None

    def path(self, key: str) -> Path:
        path = Path(self.text(key))
        if not path.is_absolute():
            raise self._wrong(key, "an absolute path")
        return path

    def _wrong(self, key: str, expected: str) -> ConfigError:
        return ConfigError(f"{self._prefix}{key}: expected {expected}, found {_shown(self.value[key])}")


def _shown(value: object) -> str:
    return json.dumps(value, default=str)[:80]
