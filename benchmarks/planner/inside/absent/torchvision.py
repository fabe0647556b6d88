"""Stands in for torchvision, which the runtime leaves out: models with images import it, and need it only for images.

Every name and every submodule is there and does nothing. No image is ever given to an engine here.
"""

from __future__ import annotations

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__version__ = "0"
__path__: list[str] = []


class _Nothing(type):
    """A class with every attribute, each of which is such a class again."""

    def __getattr__(cls, name: str) -> _Nothing:
        return __getattr__(name)


def __getattr__(name: str) -> _Nothing:
    # Python asks modules and classes for some of these to learn what they can do.
    if name.startswith("__"):
        raise AttributeError(name)
    return _Nothing(name, (), {})


class _Submodules(MetaPathFinder, Loader):
    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if name.startswith(f"{__name__}.") else None

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__getattr__"] = __getattr__


sys.meta_path.append(_Submodules())
