"""What a PyTorch was built for, as it says in its ``torch/version.py``. Nothing is imported: that takes seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(r"^(__version__|cuda|hip)\b[^=\n]*= (None|'[^']*'|\"[^\"]*\")\s*$", re.MULTILINE)


@dataclass(frozen=True)
class TorchBuild:
    """Versions of CUDA and HIP that it was built with. A build for processors has neither."""

    version: str | None
    cuda: str | None
    hip: str | None


def parse_version_file(text: str) -> TorchBuild:
    """Read the assignments of the file."""
    found = {name: None if value == "None" else value[1:-1] for name, value in _LINE.findall(text)}
    return TorchBuild(found.get("__version__"), found.get("cuda"), found.get("hip"))
