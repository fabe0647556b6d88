"""Blocks that keep a state of fixed size instead of a cache that grows."""

from __future__ import annotations

from dataclasses import dataclass

from tandem.plan.architectures.blocks import hidden_size, linear, norm
from tandem.plan.config import Config, Flag, Number, flag, key, never
from tandem.plan.model import Cache, Part, State, Tensor, share

conv_kernel: Number = key("conv_kernel", "mamba_d_conv", default=4)
has_conv_bias = flag("use_conv_bias", default=True)


@dataclass(frozen=True)
class Mamba1:
    """A selective state space block of the first kind."""

    inner: Number
    state_size: Number
    step_rank: Number
    conv: Number = conv_kernel
    conv_bias: Flag = has_conv_bias
    bias: Flag = never
    #: Normalises the step and both projections of the state.
    inner_norms: bool = False

    def build(self, config: Config, ranks: int) -> Part:
        """Return it as one of ``ranks`` holds it."""
        width, state, kernel = hidden_size(config), self.state_size(config), self.conv(config)
        own = share(self.inner(config), ranks, "the state space block's width")
        rank = self.step_rank(config)
        bias = self.bias(config)
        tensors = [
            *linear(width, 2 * own, bias=bias),
            *linear(own, width, bias=bias),
            *linear(own, rank + 2 * state),
            *linear(rank, own, bias=True),
            Tensor(own, kernel),
            Tensor(own, copies=2 if self.conv_bias(config) else 1),
            Tensor(own, state, float32=True),
        ]
        if self.inner_norms:
            tensors += norm(rank + 2 * state)
        kept = (State(own * (kernel - 1)), State(own * state, "recurrent"))
        return Part(tuple(tensors), (Cache("state", state=kept),), 2, 2 * own)


@dataclass(frozen=True)
class Mamba2:
    """A selective state space block with heads."""

    heads: Number
    head_dim: Number
    state_size: Number
    groups: Number
    conv: Number = conv_kernel
    #: The width it says it has; it must be that of its heads.
    inner: Number | None = None
    conv_bias: Flag = has_conv_bias
    bias: Flag = never
    norm: Flag = lambda _config: True

    def build(self, config: Config, ranks: int) -> Part:
        """Return it as one of ``ranks`` holds it."""
        width, state, kernel = hidden_size(config), self.state_size(config), self.conv(config)
        total, dim, groups = self.heads(config), self.head_dim(config), self.groups(config)
        inner = self.inner(config) if self.inner else total * dim
        if inner != total * dim or total % groups:
            from tandem.errors import TandemError

            raise TandemError(
                f"{config.where}: a state space block of width {inner} cannot have {total} heads of {dim} "
                f"in {groups} groups; heads x head width must be the width, and groups must divide heads"
            )
        own = share(total, ranks, "state space heads")
        # Each rank needs whole groups: a single group is held by all of them.
        own_groups = groups // ranks if groups % ranks == 0 else _replicated_groups(groups, ranks)
        mixed = own * dim + 2 * own_groups * state
        bias = self.bias(config)
        tensors = [
            *linear(width, own * dim + mixed + own, bias=bias),
            *linear(own * dim, width, bias=bias),
            Tensor(mixed, kernel),
            Tensor(own, copies=2),
            Tensor(own, float32=True),
        ]
        if self.conv_bias(config):
            tensors.append(Tensor(mixed))
        if self.norm(config):
            tensors += norm(own * dim)
        kept = (State(mixed * (kernel - 1)), State(own * dim * state, "recurrent"))
        # vLLM keeps one more where a prompt was cut.
        return Part(tuple(tensors), (Cache("state", state=kept, copies=3),), 1, own * dim + mixed)


def _replicated_groups(groups: int, ranks: int) -> int:
    if groups == 1:
        return 1
    return share(groups, ranks, "state space groups")


@dataclass(frozen=True)
class DeltaNet:
    """A gated delta rule block, as in Qwen3-Next."""

    def build(self, config: Config, ranks: int) -> Part:
        """Return it as one of ``ranks`` holds it."""
        width = hidden_size(config)
        key_heads = config.number("linear_num_key_heads", default=16)
        value_heads = config.number("linear_num_value_heads", default=32)
        key_dim = config.number("linear_key_head_dim", default=128)
        value_dim = config.number("linear_value_head_dim", default=128)
        kernel = config.number("linear_conv_kernel_dim", default=4)
        if value_heads % key_heads:
            config.refuse("linear_num_value_heads", f"a multiple of linear_num_key_heads, {key_heads}")
        own_keys = share(key_heads, ranks, "linear_num_key_heads")
        own_values = share(value_heads, ranks, "linear_num_value_heads")
        mixed = 2 * own_keys * key_dim + own_values * value_dim
        tensors = (
            *linear(width, mixed + own_values * value_dim),
            *linear(width, 2 * own_values),
            *linear(own_values * value_dim, width),
            Tensor(mixed, kernel),
            Tensor(own_values, float32=True),
            Tensor(own_values),
            Tensor(value_dim),
        )
        kept = (State(mixed * (kernel - 1)), State(own_values * value_dim * key_dim, "recurrent"))
        return Part(tensors, (Cache("state", state=kept),), 1, mixed + own_values * value_dim)


@dataclass(frozen=True)
class ShortConv:
    """A gated convolution over the last few tokens."""

    def build(self, config: Config, ranks: int) -> Part:
        """Return it as one of ``ranks`` holds it."""
        width = hidden_size(config)
        own = share(width, ranks, "the convolution's width")
        kernel = config.number("conv_L_cache", default=3)
        bias = config.flag("conv_bias")
        tensors = [*linear(width, 3 * own, bias=bias), *linear(own, width, bias=bias), Tensor(own, kernel)]
        if bias:
            tensors.append(Tensor(own))
        kept = (State(own * (kernel - 1)),)
        return Part(tuple(tensors), (Cache("state", state=kept),), 1, 3 * own)
