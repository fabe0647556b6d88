"""vLLM platform plugin: tensor parallelism on processors across nodes through Ray.

vLLM's own processor platform serves from one machine, or from several without Ray. This plugin adds Ray, so that a lab
without accelerators takes the path that machines with accelerators take. It is no part of a runtime for those.
"""

from __future__ import annotations


def register() -> str | None:
    """Return the platform class if this vLLM is a processor build; vLLM calls this to choose its platform."""
    from vllm.platforms import cpu_platform_plugin

    return "tandem_vllm_cpu.platform.RayCpuPlatform" if cpu_platform_plugin() else None
