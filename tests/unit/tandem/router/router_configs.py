"""Configurations for the tests, and what upstream's own tool says of one."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from unittest import mock

import yaml
from cli.main import main
from click.testing import CliRunner

from tandem.router.config.load import load

FIXTURES = Path(__file__).parents[3] / "fixtures" / "router"
GOOD = ("minimal.yaml", "keywords.yaml", "fusion.yaml", "embeddings.yaml", "routing.yaml")

#: Has every kind of thing once, to break one at a time.
BASE = """\
version: v0.3
listeners:
  - name: http
    address: 0.0.0.0
    port: 8899
    timeout: 300s
    api_keys: ["${CLIENT_KEY}"]
providers:
  defaults: {model: alpha}
  models:
    - name: alpha
      backend_refs: [{name: one, endpoint: "alpha:8000", weight: 1, extra_headers: {X-Team: tandem}}]
      pricing: {currency: USD, prompt_per_1m: 1.5}
      reliability: {retry_count: 1, base_ejection_time: 30s, health_check_path: /health}
    - name: beta
      backend_refs: [{base_url: "https://beta.example/v1", provider: openai, api_key_env: BETA_KEY}]
    - name: gamma
      backend_refs: [{endpoint: "gamma:8000"}]
routing:
  modelCards: [{name: alpha, context_window_size: 8192}]
  signals:
    keywords:
      - {name: code, operator: OR, method: regex, keywords: ['python\\d']}
      - {name: chat, operator: NOR, keywords: [hello]}
    embeddings: [{name: help, threshold: 0.7, candidates: [password reset]}]
    context: [{name: long, min_tokens: 8K, max_tokens: 32K}]
  decisions:
    - name: panel
      priority: 30
      rules: {operator: AND, conditions: [{type: keyword, name: code}, {type: context, name: long}]}
      algorithm:
        type: fusion
        fusion:
          model: gamma
          analysis_models: [alpha, beta]
          analysis_overrides: [{model: alpha, temperature: 0.5}]
          min_successful_responses: 1
          quorum_failure_policy: fallback
          quorum_fallback_target: gamma
      annotations: {tandem: {max_wall_seconds: 60}}
    - name: single
      priority: 20
      rules: {operator: NOT, conditions: [{type: embedding, name: help}]}
      modelRefs: [{model: beta}]
    - name: rest
      priority: 10
      modelRefs: [{model: alpha}]
global:
  router: {auto_model_names: [auto]}
  integrations: {looper: {timeout_seconds: 60, fusion: {model_names: [vllm-sr/fusion]}}}
  services: {response_api: {enabled: false}}
"""


def problems_of(text: str | bytes) -> tuple:
    """Return what is wrong, or nothing for a good configuration."""
    loaded = load(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    assert (loaded.config is None) == bool(loaded.problems)
    assert list(loaded.problems) == sorted(loaded.problems)
    return loaded.problems


def _load_fast(stream):
    return yaml.load(stream, Loader=yaml.CSafeLoader)


@functools.cache
def upstream_says(path: Path, text: str | None = None) -> str:
    """Return the complaint of ``vllm-sr config validate`` (0.4.0), or an empty text."""
    if text is not None:
        path.write_text(text, encoding="utf-8")
    # Its catalogue of models takes many seconds to read in plain Python; the configuration is read in another way.
    with mock.patch.object(yaml, "safe_load", _load_fast), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of click, which the tool uses
        result = CliRunner().invoke(main, ["config", "validate", "--config", str(path)])
    return "" if result.exit_code == 0 else result.output or repr(result.exception)
