"""``tandem router explain`` as it is typed."""

import io
import json
from pathlib import Path

import pytest

from tandem import cli

CONFIG = str(Path(__file__).parents[4] / "fixtures" / "router" / "routing.yaml")


def explain(capsys, *arguments):
    status = cli.main(["router", "explain", CONFIG, *arguments])
    return status, capsys.readouterr().out


def body(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_text(capsys):
    status, out = explain(capsys, "--text", "Why does this Python code end with a traceback?")
    lines = out.splitlines()
    assert status == 0
    assert lines[0] == "model     vllm-sr/auto"
    assert lines[1] == "holds     keyword:code (keywords python, traceback)"
    assert lines[2] == "-         context:long (tokens 17, min_tokens 8000)"
    assert lines[3].startswith("-         embedding:account (score ")
    assert lines[4:] == ["decision  code (priority 20, static)", "models    coder"]


def test_json_of_a_body(capsys, monkeypatch):
    body(monkeypatch, json.dumps({"model": "auto", "messages": [{"role": "user", "content": "my password is gone"}]}))
    status, out = explain(capsys, "--json")
    document = json.loads(out)
    assert status == 0
    assert (document["decision"], document["algorithm"], document["models"]) == (
        "careful",
        "fusion",
        ["small", "large"],
    )
    assert document["text"] == "my password is gone"
    assert document["degraded"] == {}
    assert set(document["timings_ms"]) == {"keyword", "context", "embedding"}
    account = document["signals"][-1]
    assert account["signal"] == "embedding:account"
    assert account["holds"]
    assert account["score"] >= account["threshold"] == 0.2


def test_default_model_and_prompts(capsys, monkeypatch):
    body(monkeypatch, json.dumps({"model": "auto", "prompt": "good morning"}))
    status, out = explain(capsys, "--json")
    document = json.loads(out)
    assert (status, document["decision"], document["models"]) == (0, None, ["small"])


def test_a_physical_model(capsys):
    assert explain(capsys, "--text", "x", "--model", "coder") == (0, "model     coder\nmodels    coder\n")


def test_refusals(capsys, monkeypatch):
    status, out = explain(capsys, "--text", "good morning", "--model", "vllm-sr/fusion")
    assert status == 1
    assert out.splitlines()[-1].startswith("refused   400 no_matching_decision: no fusion decision fits")
    status, out = explain(capsys, "--text", "x", "--model", "nobody")
    assert (status, out.startswith("refused   404 model_not_found: ")) == (1, True)
    body(monkeypatch, '{"model": "auto"}')
    status, out = explain(capsys, "--json")
    assert (status, json.loads(out)["refused"]["code"]) == (1, "invalid_request")


@pytest.mark.parametrize("text", ["", "hello", "[]", "[" * 100_000])
def test_what_is_no_body(text, capsys, monkeypatch):
    body(monkeypatch, text)
    assert cli.main(["router", "explain", CONFIG]) == 2
    assert "standard input: no JSON" in capsys.readouterr().err


def test_a_configuration_that_is_wrong(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_text("version: v1\n")
    assert cli.main(["router", "explain", str(path), "--text", "x"]) == 2
    assert f"{path}:1: version: found 'v1'" in capsys.readouterr().err
