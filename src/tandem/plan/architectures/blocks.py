"""Attention and feed-forward blocks, from which most families are put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tandem.plan.config import Config, Flag, Number, key, never
from tandem.plan.model import Cache, CacheKind, Part, Role, Tensor, kv_share, share

hidden_size: Number = key("hidden_size", "n_embd", "d_model")
heads: Number = key("num_attention_heads", "n_head", "n_heads")
intermediate_size: Number = key("intermediate_size")


class Block(Protocol):
    """Something a layer is made of."""

    def build(self, config: Config, ranks: int) -> Part:
        """Return it as one of ``ranks`` holds it."""


def even_head_dim(config: Config) -> int:
    """Return the hidden size cut into heads; it must be whole."""
    width, count = hidden_size(config), heads(config)
    if width % count:
        config.refuse(
            next(name for name in ("num_attention_heads", "n_head", "n_heads") if config.has(name)),
            f"a divisor of the hidden size {width}, as there is no head_dim",
        )
    return width // count


def head_dim_of(absent: int) -> Number:
    """Return a reader of the head dimension of families that have a default for it."""
    return key("head_dim", default=even_head_dim, absent=absent)


def qk_norm(kind: str, when: Flag | None = None) -> Callable[[Config], str]:
    """Return a reader of how queries and keys are normalised."""
    return lambda config: kind if when is None or when(config) else ""


def linear(inputs: int, outputs: int, *, bias: bool = False, role: Role = "linear") -> tuple[Tensor, ...]:
    """Return a matrix, and its bias if it has one."""
    matrix = Tensor(outputs, inputs, role=role)
    return (matrix, Tensor(outputs)) if bias else (matrix,)


def norm(width: int, count: int = 1, *, bias: bool = False) -> tuple[Tensor, ...]:
    """Return the weights of some normalisations."""
    return (Tensor(width, copies=count * (1 + bias)),) if count and width else ()


def kv_heads_of(absent: int | None = None, of: Number = heads) -> Number:
    """Return a reader of the KV heads, which must divide the heads; with null each head has its own."""
    count_of = key("num_key_value_heads", default=of, absent=absent)

    def read(config: Config) -> int:
        total, count = of(config), count_of(config)
        if total % count:
            raise _indivisible(config, total, count)
        return count

    return read


def _indivisible(config: Config, total: int, count: int) -> Exception:
    from tandem.errors import TandemError

    return TandemError(
        f"{config.where}: {total} attention heads cannot share {count} key-value heads; "
        "num_key_value_heads must divide num_attention_heads"
    )


own_kv_heads = kv_heads_of()
own_head_dim: Number = key("head_dim", default=even_head_dim)
expert_count: Number = key("num_experts", "num_local_experts", "n_routed_experts")
active_experts: Number = key("num_experts_per_tok", "moe_topk", "moe_k")
expert_width: Number = key("moe_intermediate_size")


@dataclass(frozen=True)
class Attention:
    """Multi-head or grouped-query attention with its KV cache."""

    qkv_bias: Flag = never
    o_bias: Flag = never
    heads: Number = heads
    kv_heads: Number = own_kv_heads
    head_dim: Number = own_head_dim
    #: "" none, "head" one weight for all heads, "heads" one for each, "full" over all heads at once.
    qk_norm: Callable[[Config], str] = lambda _config: ""
    qk_norm_bias: bool = False
    #: Twice the queries: the second half gates the output.
    gated: bool = False
    #: A gate matrix of its own.
    gate_matrix: bool = False
    sinks: bool = False
    kind: CacheKind = "full"
    window: Number | None = None
    #: Reads the cache of an earlier layer and has no keys and values of its own.
    shared: bool = False
    inputs: Number = hidden_size

    def build(self, config: Config, ranks: int) -> Part:
        """Return it as one of ``ranks`` holds it."""
        total, kv_total, dim = self.heads(config), self.kv_heads(config), self.head_dim(config)
        width, inputs = hidden_size(config), self.inputs(config)
        own = share(total, ranks, "attention heads")
        kv = kv_share(kv_total, ranks)
        kept = 0 if self.shared else kv
        queries = own * dim * (2 if self.gated else 1)
        tensors = [
            *linear(inputs, queries + 2 * kept * dim, bias=self.qkv_bias(config)),
            *linear(own * dim, width, bias=self.o_bias(config)),
            *self._norms(config, own, kept, dim),
        ]
        if self.gate_matrix:
            tensors += linear(inputs, own * dim)
        if self.sinks:
            tensors.append(Tensor(own))
        window = self.window(config) if self.window else None
        # Layers said to have a window remember everything if there is none.
        kind: CacheKind = "full" if window == 0 else self.kind
        cache = Cache(kind, 2 * kv * dim, window_tokens=window or None)
        return Part(tuple(tensors), () if self.shared else (cache,), 1, queries + 2 * kv * dim)

    def _norms(self, config: Config, own: int, kv: int, dim: int) -> tuple[Tensor, ...]:
        how = self.qk_norm(config)
        if not how:
            return ()
        if how == "head":
            width = dim * (2 if kv else 1)
        elif how == "heads":
            width = (own + kv) * dim
        else:
            width = (self.heads(config) + self.kv_heads(config)) * dim
        return norm(width, bias=self.qk_norm_bias)


@dataclass(frozen=True)
class Mlp:
    """A feed-forward block: two matrices, or three if it is gated."""

    width: Number = intermediate_size
    gated: bool = True
    bias: Flag = never
    #: Parameters of the activation function.
    extra: int = 0
    #: Some code keeps it whole on every rank.
    shared_out: bool = True

    def build(self, config: Config, ranks: int) -> Part:
        """Return it as one of ``ranks`` holds it."""
        inputs = hidden_size(config)
        own = share(self.width(config), ranks if self.shared_out else 1, "the feed-forward width")
        inner = own * (2 if self.gated else 1)
        bias = self.bias(config)
        tensors = [*linear(inputs, inner, bias=bias), *linear(own, inputs, bias=bias)]
        if self.extra:
            tensors.append(Tensor(self.extra))
        return Part(tuple(tensors), all_reduces=1, widest=inner + own)


@dataclass(frozen=True)
class Experts:
    """A mixture of experts: a router, the experts, and perhaps one that every token passes."""

    experts: Number = expert_count
    active: Number = active_experts
    width: Number = expert_width
    #: The width of the shared expert; 0 for none.
    shared_width: Number = lambda _config: 0
    shared_gate: bool = False
    gated: bool = True
    router_float32: bool = False
    router_bias: bool = False
    #: A float32 number per expert that shifts the choice.
    correction: Flag = never
    correction_float32: bool = True
    bias: bool = False
    #: Experts that pass their input through.
    idle_experts: Number = lambda _config: 0

    def build(self, config: Config, ranks: int) -> Part:
        """Return it as one of ``ranks`` holds it."""
        inputs, count, active = hidden_size(config), self.experts(config), self.active(config)
        if active > count:
            config.refuse(
                next(name for name in ("num_experts_per_tok", "moe_topk", "moe_k", "num_experts") if config.has(name)),
                f"at most the number of experts, {count}",
            )
        own = share(self.width(config), ranks, "the experts' width")
        inner = own * (2 if self.gated else 1)
        routed = count + self.idle_experts(config)
        tensors = [
            Tensor(routed, inputs, float32=self.router_float32),
            Tensor(inner, inputs, count, "expert", active_copies=active),
            Tensor(inputs, own, count, "expert", active_copies=active),
        ]
        if self.router_bias:
            tensors.append(Tensor(routed))
        if self.correction(config):
            tensors.append(Tensor(routed, float32=self.correction_float32))
        if self.bias:
            tensors.append(Tensor(inner + inputs, copies=count, active_copies=active))
        shared = self.shared_width(config)
        if shared:
            tensors += _shared(inputs, shared, ranks, gated=self.gated)
        if shared and self.shared_gate:
            tensors.append(Tensor(1, inputs))
        return Part(tuple(tensors), all_reduces=1, widest=active * (inner + own))


def _shared(inputs: int, width: int, ranks: int, *, gated: bool) -> tuple[Tensor, ...]:
    own = share(width, ranks, "the shared expert's width")
    return (*linear(inputs, own * (2 if gated else 1)), *linear(own, inputs))


@dataclass(frozen=True)
class Latent:
    """Multi-head latent attention: the cache holds one compressed vector per token, the same on every rank."""

    #: Without the compressed form in the cache: keys and values are kept whole.
    expanded: bool = False
    #: Attention to chosen tokens, with an index of its own.
    indexed: bool = False
    o_bias: Flag = never

    def build(self, config: Config, ranks: int) -> Part:
        """Return it as one of ``ranks`` holds it."""
        width, own = hidden_size(config), share(heads(config), ranks, "attention heads")
        rank, rope = config.number("kv_lora_rank"), config.number("qk_rope_head_dim")
        nope, value = config.number("qk_nope_head_dim"), config.number("v_head_dim")
        query_rank = config.number("q_lora_rank") if config.has("q_lora_rank") else 0
        tensors: list[Tensor] = []
        if query_rank:
            tensors += [*linear(width, query_rank), Tensor(query_rank)]
        tensors += [
            *linear(query_rank or width, own * (nope + rope)),
            *linear(width, rank + rope),
            Tensor(rank),
            *linear(rank, own * (nope + value)),
            *linear(own * value, width, bias=self.o_bias(config)),
        ]
        caches = [Cache("latent", rank + rope, replicated=True)]
        if self.expanded:
            caches = [Cache("full", 2 * own * (nope + rope))]
        if self.indexed:
            index_heads, index_dim = config.number("index_n_heads"), config.number("index_head_dim")
            tensors += [
                *linear(query_rank, index_heads * index_dim),
                *linear(width, index_dim),
                # Weight and bias of its norm.
                Tensor(index_dim, copies=2, float32=True),
                Tensor(index_heads, width),
            ]
            # FP8 keys with one float32 scale for each 128 of them.
            index_bytes = index_dim + 4 * -(-index_dim // 128)
            caches.append(Cache("latent", raw_bytes_per_token=index_bytes, replicated=True))
        return Part(tuple(tensors), tuple(caches), 1, own * (nope + rope + value))
