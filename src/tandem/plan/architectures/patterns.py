"""Which layer is of which kind: the many ways in which configs say it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tandem.plan.config import Config, Number, key

#: The names of a layer's blocks, for each layer.
Layers = Callable[[Config], list[tuple[str, ...]]]
#: The name of one block for each layer.
Column = Callable[[Config], list[str]]

layer_count: Number = key("num_hidden_layers", "n_layer", "num_layers", "n_layers")

_KINDS = {
    "full_attention": "full",
    "attention": "full",
    "global": "full",
    "sliding_attention": "sliding",
    "local": "sliding",
    "chunked_attention": "chunked",
    "linear_attention": "recurrent",
    "mamba": "recurrent",
    "conv": "recurrent",
}


def uniform(*blocks: str) -> Layers:
    """Return layers that are all alike."""
    return lambda config: [blocks] * layer_count(config)


def columns(*sides: Column | str) -> Layers:
    """Return layers put together from columns; a text stands for the same block in every layer."""

    def build(config: Config) -> list[tuple[str, ...]]:
        count = layer_count(config)
        lists = [[side] * count if isinstance(side, str) else side(config) for side in sides]
        return list(zip(*lists, strict=True))

    return build


def layer_types(*, default: Column | None = None, names: Mapping[str, str] = _KINDS, key_name: str = "") -> Column:
    """Return the kinds that ``layer_types`` lists; without a list those of ``default``."""

    def read(config: Config) -> list[str]:
        found = next((name for name in (key_name, "layer_types", "layers_block_type") if config.has(name)), None)
        if found is None:
            if default is None:
                config.missing("layer_types")
            return default(config)
        words = config.words(found) or ()
        if len(words) != layer_count(config):
            config.refuse(found, f"a list of {layer_count(config)} entries, one for each layer; it has {len(words)}")
        unknown = sorted(set(words) - set(names))
        if unknown:
            config.refuse(found, f"a list of {', '.join(names)}, as this family has; not understood: {unknown[0]}")
        return [names[word] for word in words]

    return read


def every(period: Number, then: str = "full", otherwise: str = "sliding", offset: int = -1) -> Column:
    """Return ``then`` for the last layer of each period, else ``otherwise``."""

    def read(config: Config) -> list[str]:
        length = period(config)
        return [then if (index - offset) % length == 0 else otherwise for index in range(layer_count(config))]

    return read


def period_and_offset(period: Number, offset: Number, then: str, otherwise: str) -> Column:
    """Return ``then`` for layers whose index has the offset within the period."""

    def read(config: Config) -> list[str]:
        length, start = period(config), offset(config)
        return [then if index % length == start else otherwise for index in range(layer_count(config))]

    return read


def after(first: Number, then: str = "moe", otherwise: str = "mlp", step: Number | None = None) -> Column:
    """Return ``otherwise`` for the first layers, ``then`` for the others (or each ``step``-th of them)."""

    def read(config: Config) -> list[str]:
        start, every_nth = first(config), step(config) if step else 1
        return [
            then if index >= start and index % every_nth == 0 else otherwise for index in range(layer_count(config))
        ]

    return read


def sparse_steps(config: Config) -> list[str]:
    """Return which layers are mixtures of experts, as Qwen's configs say it."""
    step = config.number("decoder_sparse_step", default=1)
    dense = config.numbers("mlp_only_layers") or ()
    return ["mlp" if index in dense or (index + 1) % step else "moe" for index in range(layer_count(config))]


def windowed(absent: int | None = None) -> Column:
    """Return what vLLM makes of ``sliding_window``: it holds for all layers unless ``layer_types`` says which."""
    listed = layer_types()

    def read(config: Config) -> list[str]:
        if config.has("layer_types"):
            kinds = listed(config)
            return kinds if window_size(config, absent) else ["full"] * len(kinds)
        return ["sliding" if window_size(config, absent) else "full"] * layer_count(config)

    return read


def window_size(config: Config, absent: int | None = None) -> int:
    """Return the window, 0 for none."""
    if "sliding_window" not in config.values:
        return absent or 0
    return config.number("sliding_window", default=0, least=0)


def window_of(absent: int | None = None, more: int = 0) -> Number:
    """Return a reader of the window."""
    return lambda config: window_size(config, absent) and window_size(config, absent) + more
