"""Start one engine and write what it allocated: `probe.py SETTINGS.json FOUND.json`, with vLLM's own Python."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(settings: Path, found: Path) -> None:
    """Start the engine of the first file and write the second."""
    import vllm

    llm = vllm.LLM(worker_extension_cls="rank.Rank", **json.loads(settings.read_text()))
    config = llm.llm_engine.vllm_config
    document = {
        "vllm_version": vllm.__version__,
        "block_tokens": config.cache_config.block_size,
        "prefix_caching": config.cache_config.enable_prefix_caching,
        "async_scheduling": config.scheduler_config.async_scheduling,
        "recurrent_dtype": config.cache_config.mamba_ssm_cache_dtype,
        "kv_tokens": config.cache_config.kv_cache_size_tokens,
        "ranks": llm.collective_rpc("tandem_allocated"),
    }
    found.write_text(json.dumps(document))


# Ranks are processes that import this file again.
if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
