"""Compares small embedding models by how well they route. See benchmarks/README.md."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from benchmarks.router_embeddings.candidates import CANDIDATES

_COLUMNS = (
    ("nearest", "max_nearest", "{:.3f}"),
    ("routed", "max_routed", "{:.3f}"),
    ("apart", "max_apart", "{:.3f}"),
    ("own", "max_own", "{:.2f}"),
    ("none", "max_none", "{:.2f}"),
    ("nearest*", "mean_nearest", "{:.3f}"),
    ("routed*", "mean_routed", "{:.3f}"),
    ("p50 ms", "p50_ms", "{:.1f}"),
    ("p99 ms", "p99_ms", "{:.1f}"),
    ("long ms", "long_ms", "{:.0f}"),
    ("MiB", "memory_mib", "{:.0f}"),
    ("disk", "disk_mib", "{:.0f}"),
)


def main() -> int:
    """Measure each model in a process of its own, with one thread, and print a table."""
    rows: list[dict[str, Any]] = []
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TOKENIZERS_PARALLELISM"), "1")
    for name in CANDIDATES:
        argv = [sys.executable, "-m", "benchmarks.router_embeddings.measure", name]
        done = subprocess.run(argv, check=True, capture_output=True, text=True, env=os.environ | one_thread)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{'':<24}" + "".join(f"{title:>9}" for title, _, _ in _COLUMNS))
    for row in rows:
        print(f"{row['model']:<24}" + "".join(f"{form.format(row[key]):>9}" for _, key, form in _COLUMNS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
