"""Compare the planner with real engines of vLLM, one after the other."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.planner import runtime, table
from benchmarks.planner.compare import compare, plan_of
from benchmarks.planner.engine import DidNotStart, start
from benchmarks.planner.families import FAMILIES, Family, model_of
from tandem.errors import TandemError


def _wanted(names: Sequence[str]) -> list[Family]:
    unknown = set(names) - {family.case for family in FAMILIES}
    if unknown:
        raise TandemError(f"no family {', '.join(sorted(unknown))}; see benchmarks/planner/families.py")
    return [family for family in FAMILIES if not names or family.case in names]


def _row(python: Path, family: Family) -> tuple[table.Row, str]:
    """Return the family's row and the version of vLLM."""
    model = model_of(family)
    try:
        found = start(python, model, family.ranks)
    except DidNotStart as failure:
        return table.Row(family.title, failure=f"vLLM did not start: {failure}"), ""
    try:
        pairs = compare(plan_of(model, found), found)
    except TandemError as refusal:
        return table.Row(family.title, failure=f"the planner refuses: {refusal}"), found["vllm_version"]
    return table.Row(family.title, pairs), found["vllm_version"]


def main() -> int:
    """Print the table; 1 if a figure is off or a family could not be compared."""
    parser = argparse.ArgumentParser(prog="benchmarks/planner/run.sh", description=__doc__)
    parser.add_argument("case", nargs="*", help="only these, by the name of their config (default: all)")
    families = _wanted(parser.parse_args().case)
    python = runtime.python()
    rows, version = [], ""
    print(table.head())
    for family in families:
        row, found = _row(python, family)
        rows.append(row)
        version = found or version
        print(table.line(row), flush=True)
    for text in table.summary(rows, version):
        print(text)
    return 0 if all(row.fine for row in rows) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except TandemError as error:
        sys.exit(f"error: {error}")
