"""The router in front of two real engines, as the official client sees it, and what it keeps from clients."""

from __future__ import annotations

import contextlib
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator

import openai
import pytest

from tests.lab import lab

pytestmark = pytest.mark.lab

PORT = 18801
KEY = "/etc/tandem/secrets/router/CLIENT_LAB"
COMPARE = [{"role": "user", "content": "Compare a cat versus a dog in one sentence."}]


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    """The client, through SSH to the router's loopback."""
    forward = f"127.0.0.1:{PORT}:127.0.0.1:8801"
    argv = ["ssh", "-F", ".lab/ssh_config", "-o", "ExitOnForwardFailure=yes", "-N", "-L", forward, "node1"]
    with subprocess.Popen(argv, cwd=lab.ROOT, stdin=subprocess.DEVNULL) as ssh:
        try:
            lab.until(lambda: get("/health") == 200, timeout_sec=20, what="the tunnel is up", interval_sec=0.2)
            yield openai.OpenAI(
                base_url=f"http://127.0.0.1:{PORT}/v1", api_key=lab.ssh("node1", f"cat {KEY}"), timeout=300
            )
        finally:
            ssh.terminate()


def get(path: str, *, method: str = "GET") -> int:
    """Return the status of a request without a key; 0 where nothing answers."""
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}", method=method)
    with contextlib.suppress(OSError):
        try:
            return int(urllib.request.urlopen(request, timeout=10).status)
        except urllib.error.HTTPError as error:
            return error.code
    return 0


def test_models_are_listed_and_ready(client: openai.OpenAI) -> None:
    assert {"smollm2", "smollm2-solo"} <= {model.id for model in client.models.list()}
    assert get("/ready") == 200


def test_a_greeting_goes_to_the_small_engine_by_its_rule(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="auto", messages=[{"role": "user", "content": "hello"}], max_tokens=8
    )
    assert raw.headers["x-vsr-selected-decision"] == "greeting"
    assert raw.headers["x-vsr-selected-model"] == "smollm2-solo"
    assert raw.parse().choices[0].message.content


def test_a_comparison_is_answered_by_a_panel_of_two_engines(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="auto", messages=COMPARE, max_tokens=32)
    assert answer.choices[0].message.content
    record = answer.fusion["tandem"]  # type: ignore[attr-defined]
    print(record)
    panel = [call["model"] for call in record["calls"] if call["stage"] == "panel"]
    assert sorted(panel) == ["smollm2", "smollm2-solo"]
    assert {response["model"] for response in answer.fusion["responses"]} <= set(panel)  # type: ignore[attr-defined]


def test_a_panel_is_streamed(client: openai.OpenAI) -> None:
    events = list(
        client.chat.completions.create(
            model="vllm-sr/fusion",
            messages=COMPARE,
            max_tokens=32,
            # How brief the small judge is changes from run to run.
            extra_body={"min_tokens": 12},
            stream=True,
        )
    )
    pieces = [choice.delta.content for event in events for choice in event.choices if choice.delta.content]
    record = next(event.fusion["tandem"] for event in reversed(events) if getattr(event, "fusion", None))
    print(record)
    assert len(pieces) > 3
    assert {call["stage"] for call in record["calls"]} >= {"panel", "judge", "synthesis"}


@pytest.mark.parametrize("path", ["/pause", "/update_weights", "/invocations", "/v1/../pause", "/tokenize"])
def test_what_engines_have_beside_the_api_is_not_reached(client: openai.OpenAI, path: str) -> None:
    assert get(path, method="POST") == 404


def test_another_key_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").models.list()


def test_tandem_ask_shows_decision_and_panel() -> None:
    argv = [
        str(lab.BIN / "tandem"),
        "ask",
        "-i",
        lab.INVENTORY,
        "--router",
        "--max-tokens",
        "24",
        "Compare tea versus coffee.",
    ]
    done = subprocess.run(argv, cwd=lab.ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "[decision panel (fusion)" in done.stderr
    assert done.stderr.count("[panel: ") == 2
