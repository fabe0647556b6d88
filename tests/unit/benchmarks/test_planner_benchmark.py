"""What the planner's benchmark makes of an engine's figures; that it starts engines is seen by running it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.planner import table
from benchmarks.planner.compare import CAPACITY, KV, KV_MEMORY_BYTES, STATE, WEIGHTS, Pair, compare, plan_of
from benchmarks.planner.engine import ENVIRONMENT, reason_of, settings_of
from benchmarks.planner.families import FAMILIES, model_of

LLAMA = next(family for family in FAMILIES if family.case == "llama_gqa" and family.ranks == 1)
#: 768 bytes per token in blocks of 128 tokens, as an engine of this model reports them.
BLOCKS = KV_MEMORY_BYTES // (768 * 128)
FOUND = {
    "block_tokens": 128,
    "prefix_caching": True,
    "async_scheduling": False,
    "recurrent_dtype": "auto",
    "kv_tokens": BLOCKS * 128,
    "ranks": [
        {
            "weight_bytes": 2567808,
            "blocks": BLOCKS,
            "layers": [{"state": False, "block_tokens": 128, "bytes": 768 * 128 * BLOCKS}],
        }
    ],
}


def test_an_engine_that_is_as_planned_is_fine() -> None:
    pairs = {pair.what: pair for pair in compare(plan_of(model_of(LLAMA), FOUND), FOUND)}
    assert {what: pair.ratio for what, pair in pairs.items()} == {WEIGHTS: 1, KV: 1, STATE: 1, CAPACITY: 1}
    assert (pairs[WEIGHTS].theirs, pairs[KV].theirs) == (2567808, 768)


@pytest.mark.parametrize(
    ("pair", "fine"),
    [
        (Pair(WEIGHTS, 1009, 1000), True),
        (Pair(WEIGHTS, 1011, 1000), False),
        (Pair(KV, 769, 768), False),
        (Pair(STATE, 0, 0), True),
        (Pair(STATE, 1, 0), False),
        (Pair(CAPACITY, 127, 128), False),
    ],
)
def test_weights_may_be_a_little_off_and_nothing_else(pair: Pair, fine: bool) -> None:
    assert pair.fine is fine


def test_a_state_is_counted_once_per_block() -> None:
    rank = {"weight_bytes": 1, "blocks": 4, "layers": [{"state": True, "block_tokens": 2048, "bytes": 4 * 640}]}
    pairs = {pair.what: pair for pair in compare(plan_of(model_of(LLAMA), FOUND), FOUND | {"ranks": [rank]})}
    assert (pairs[STATE].theirs, pairs[KV].theirs) == (640, 0)


def test_what_was_not_compared_is_told_and_is_not_fine() -> None:
    rows = [table.Row("a", failure="vLLM did not start: no"), table.Row("b", (Pair(KV, 1, 2),))]
    assert [row.fine for row in rows] == [False, False]
    assert "no" in table.line(rows[0])
    assert next(table.summary(rows, "1")) == "vLLM 1: 1 of 2 engines compared, 0 within limits"


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("(Worker) ValueError: first\nRuntimeError: last\nbye\n", "RuntimeError: last"),
        (
            (
                "(Worker_TP0 pid=1) ERROR 11-25 07:08:36 [executor.py:9] NotImplementedError: no kernel\n"
                "Exception: WorkerProc initialization failed due to an exception in a background process.\n"
            ),
            "NotImplementedError: no kernel",
        ),
        (
            (
                "(Main) ERROR 11-25 07:04:38 [registry.py:1] RuntimeError: Error raised in subprocess:\n"
                "(Main) ERROR 11-25 07:04:38 [registry.py:1] ModuleNotFoundError: No module named 'x'\n"
                "pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
            ),
            "ModuleNotFoundError: No module named 'x'",
        ),
        ("only this\n\n", "only this"),
        ("", "it printed nothing"),
    ],
)
def test_the_reason_is_the_error_below_those_that_wrap_it(output: str, reason: str) -> None:
    assert reason_of(output) == reason


def test_what_stands_in_for_torchvision_has_every_name() -> None:
    code = "from torchvision.transforms.v2 import functional as f; from torchvision import io; f.Mode.NEAREST, io.read"
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": ENVIRONMENT["PYTHONPATH"]}, check=True)


def test_only_models_with_images_are_told_to_do_without(tmp_path: Path) -> None:
    told = {
        family.case
        for family in FAMILIES
        if "limit_mm_per_prompt" in settings_of(model_of(family), tmp_path, family.ranks)
    }
    assert told == {"gemma3mm", "qwen25vl", "qwen3_5"}


def test_each_family_has_a_config() -> None:
    assert len({model_of(family).config["architectures"][0] for family in FAMILIES}) >= 8
