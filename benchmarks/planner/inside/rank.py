"""What one rank allocated, asked for in its own process. vLLM imports this by name."""
# ruff: noqa: ANN401 - vLLM, whose types these are, is not installed where they are checked

from __future__ import annotations

from typing import Any

from vllm.model_executor.model_loader import register_model_loader
from vllm.model_executor.model_loader.dummy_loader import DummyModelLoader


@register_model_loader("dummy")
class CountingLoader(DummyModelLoader):  # type: ignore[misc]  # mypy does not see vLLM
    """Counts parameters before the processor's kernels repack them and throw the originals away."""

    def load_weights(self, model: Any, model_config: Any) -> None:
        """Fill the parameters, and note their size on the model."""
        super().load_weights(model, model_config)
        model.tandem_weight_bytes = sum(each.numel() * each.element_size() for each in model.parameters())


class Rank:
    """Joins vLLM's worker as a base class; its method can then be called on every rank."""

    model_runner: Any

    def tandem_allocated(self) -> dict[str, Any]:
        """Return the bytes of weights, and of each layer's part of the tensor that is the KV cache."""
        runner = self.model_runner
        layout = runner.kv_cache_config
        layers = []
        for group in layout.kv_cache_groups:
            # Layers that read the cache of another have none.
            for name in group.layer_names:
                if name not in runner.shared_kv_cache_layers:
                    cache = runner.compilation_config.static_forward_context[name].kv_cache
                    spec = getattr(group.kv_cache_spec, "kv_cache_specs", {}).get(name, group.kv_cache_spec)
                    layers.append(_layer(spec, cache if isinstance(cache, (list, tuple)) else [cache]))
        return {"weight_bytes": runner.model.tandem_weight_bytes, "blocks": layout.num_blocks, "layers": layers}


def _layer(spec: Any, tensors: Any) -> dict[str, Any]:
    return {
        "state": type(spec).__name__ == "MambaSpec",
        "block_tokens": spec.block_size,
        "bytes": sum(each.numel() * each.element_size() for each in tensors),
    }
