"""Vision towers, and the projections that lead from them to the language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tandem.plan.config import Config, Number, key
from tandem.plan.model import Tensor, share

vision_width = key("hidden_size")
vision_inner = key("intermediate_size")


class Tower(Protocol):
    """What a multimodal model has beside its language model."""

    def build(self, config: Config, whole: Config, hidden: int, ranks: int) -> tuple[Tensor, ...]:
        """Return its tensors on one of ``ranks``; ``whole`` is all of the config, ``hidden`` the text's width."""


def _plain(outputs: int, inputs: int = 1) -> Tensor:
    return Tensor(outputs, inputs, role="vision")


def _biased(outputs: int, inputs: int, *, bias_outputs: int | None = None) -> list[Tensor]:
    return [_plain(outputs, inputs), _plain(outputs if bias_outputs is None else bias_outputs)]


def _repeat(tensors: list[Tensor], count: int) -> list[Tensor]:
    return [Tensor(each.outputs, each.inputs, count, role="vision") for each in tensors]


def _block(width: int, inner: int, ranks: int, *, gated: bool, norm_bias: bool) -> list[Tensor]:
    """Return one transformer layer: attention and a feed-forward block with biases, and two norms."""
    own, narrow = share(width, ranks, "the vision tower's width"), share(inner, ranks, "the vision tower's inner width")
    return [
        *_biased(3 * own, width),
        *_biased(width, own),
        *_biased(narrow * (2 if gated else 1), width),
        *_biased(width, narrow),
        _plain(2 * width * (2 if norm_bias else 1)),
    ]


@dataclass(frozen=True)
class QwenTower:
    """The tower of Qwen's models: patches over two frames, and a merger of neighbouring patches."""

    width: Number = vision_width
    inner: Number = vision_inner
    gated: bool = False
    norm_bias: bool = True
    patch_bias: bool = True
    #: A table of positions.
    positions: bool = True
    patch_size: int = 16

    def build(self, config: Config, whole: Config, hidden: int, ranks: int) -> tuple[Tensor, ...]:  # noqa: ARG002
        """Return its tensors on one of ``ranks``."""
        width, depth = self.width(config), config.number("depth")
        patch = config.number("patch_size", default=self.patch_size)
        frames = config.number("temporal_patch_size", default=2)
        merged = width * config.number("spatial_merge_size", default=2) ** 2
        tensors = [_plain(width, config.number("in_channels", "in_chans", default=3) * frames * patch * patch)]
        if self.patch_bias:
            tensors.append(_plain(width))
        if self.positions:
            tensors.append(_plain(config.number("num_position_embeddings", default=2304), width))
        block = _block(width, self.inner(config), ranks, gated=self.gated, norm_bias=self.norm_bias)
        tensors += _repeat(block, depth)
        tensors += self._merger(width, merged, hidden, ranks)
        for _ in config.numbers("deepstack_visual_indexes") or ():
            tensors += self._merger(merged, merged, hidden, ranks)
        return tuple(tensors)

    def _merger(self, normed: int, merged: int, hidden: int, ranks: int) -> list[Tensor]:
        own = share(merged, ranks, "the vision merger's width")
        return [_plain(normed * (2 if self.norm_bias else 1)), *_biased(own, merged), *_biased(hidden, own)]


@dataclass(frozen=True)
class SiglipTower:
    """Gemma 3's tower, and its projection."""

    def build(self, config: Config, whole: Config, hidden: int, ranks: int) -> tuple[Tensor, ...]:  # noqa: ARG002
        """Return its tensors on one of ``ranks``."""
        width, inner = config.number("hidden_size", default=768), config.number("intermediate_size", default=3072)
        patch, image = config.number("patch_size", default=16), config.number("image_size", default=224)
        layers = config.number("num_hidden_layers", default=12)
        block = _block(width, inner, ranks, gated=False, norm_bias=True)
        return (
            *_biased(width, 3 * patch * patch),
            _plain((image // patch) ** 2, width),
            *_repeat(block, layers),
            _plain(2 * width),
            _plain(width, hidden),
            _plain(width),
        )


@dataclass(frozen=True)
class Llama4Tower:
    """Llama 4's tower, its adapter and its projection."""

    def build(self, config: Config, whole: Config, hidden: int, ranks: int) -> tuple[Tensor, ...]:  # noqa: ARG002
        """Return its tensors on one of ``ranks``."""
        width, inner = config.number("hidden_size", default=768), config.number("intermediate_size", default=5632)
        patch, image = config.number("patch_size", default=14), config.number("image_size", default=448)
        layers = config.number("num_hidden_layers", default=34)
        between = config.number("projector_input_dim", default=4096)
        out = config.number("projector_output_dim", default=4096)
        block = _block(width, inner, ranks, gated=False, norm_bias=True)
        own = share(between, ranks, "projector_input_dim")
        shuffled = int(width / config.ratio("pixel_shuffle_ratio", 0.5) ** 2)
        return (
            _plain(width),
            _plain((image // patch) ** 2 + 1, width),
            _plain(share(width, ranks, "the vision tower's width"), 3 * patch * patch),
            _plain(4 * width),
            *_repeat(block, layers),
            _plain(own, shuffled),
            _plain(out, own),
            _plain(share(hidden, ranks, "the hidden size"), config.number("vision_output_dim", default=7680)),
        )


@dataclass(frozen=True)
class PixtralTower:
    """Mistral's tower, a merger of neighbouring patches, and a projection."""

    def build(self, config: Config, whole: Config, hidden: int, ranks: int) -> tuple[Tensor, ...]:
        """Return its tensors on one of ``ranks``."""
        width, inner = config.number("hidden_size", default=1024), config.number("intermediate_size", default=4096)
        patch, layers = config.number("patch_size", default=16), config.number("num_hidden_layers", default=24)
        own, narrow = share(width, ranks, "the vision tower's width"), share(inner, ranks, "its inner width")
        merged = width * whole.number("spatial_merge_size", default=2) ** 2
        block = [_plain(3 * own, width), _plain(width, own), _plain(2 * narrow, width), _plain(width, narrow)]
        bias = whole.flag("multimodal_projector_bias")
        return (
            _plain(width, 3 * patch * patch),
            *_repeat([*block, _plain(2 * width)], layers),
            _plain(2 * width),
            _plain(width, merged),
            *_projector(width, hidden, ranks, bias=bias),
        )


@dataclass(frozen=True)
class ClipTower:
    """LLaVA's tower: only as many layers as its projection looks at."""

    def build(self, config: Config, whole: Config, hidden: int, ranks: int) -> tuple[Tensor, ...]:
        """Return its tensors on one of ``ranks``."""
        if config.word("model_type", "clip_vision_model") != "clip_vision_model":
            config.refuse("model_type", "clip_vision_model; other towers of this architecture were not verified")
        width, inner = config.number("hidden_size", default=768), config.number("intermediate_size", default=3072)
        patch, image = config.number("patch_size", default=32), config.number("image_size", default=224)
        layers = config.number("num_hidden_layers", default=12)
        chosen = -2 if whole.raw("vision_feature_layer") is None else whole.raw("vision_feature_layer")
        if not isinstance(chosen, int) or not -layers <= chosen < 0:
            whole.refuse("vision_feature_layer", f"a whole number from {-layers} to -1")
        bias = whole.flag("multimodal_projector_bias", True)
        return (
            _plain(width),
            _plain(width, 3 * patch * patch),
            _plain((image // patch) ** 2 + 1, width),
            _plain(2 * width),
            *_repeat(_block(width, inner, ranks, gated=False, norm_bias=True), layers + 1 + chosen),
            *_projector(width, hidden, ranks, bias=bias),
        )


def _projector(width: int, hidden: int, ranks: int, *, bias: bool) -> list[Tensor]:
    own = share(hidden, ranks, "the hidden size")
    return [_plain(own, width), _plain(hidden, own), *([_plain(own), _plain(hidden)] if bias else [])]
