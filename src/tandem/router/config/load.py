"""The text of a configuration file becomes a `Config`, or everything that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tandem.router.config import checks, decisions
from tandem.router.config.decode import Decoder
from tandem.router.config.refused import REFUSALS
from tandem.router.config.settings import Config
from tandem.router.config.tree import parse

if TYPE_CHECKING:
    from tandem.router.config.problems import Problem


@dataclass(frozen=True)
class Loaded:
    """A configuration, or None and the problems, sorted by line."""

    config: Config | None
    problems: tuple[Problem, ...] = ()


def load(data: bytes) -> Loaded:
    """Return the configuration in the bytes of a file; raises nothing for any bytes."""
    root, problems = parse(data)
    if root is not None:
        config: Config = Decoder(problems, REFUSALS).section(Config, root, ())
        if isinstance(root.value, dict):
            # Where there is no mapping at all, everything else would follow from that.
            checks.check(config, problems)
            decisions.check(config, problems)
        if not problems.found:
            return Loaded(config)
    return Loaded(None, problems.all())
