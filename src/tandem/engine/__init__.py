"""Engines: from one entry of ``vllm_engine_engines`` to the files that its ranks read."""
