"""Read a llama-architecture GGUF file into the tensors and settings that transformers and vLLM expect."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np
import tokenizers

from tandem.errors import TandemError
from tandem.lab.heads import pad_axis, padded_heads, to_split_rotary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_OTHER_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_SPECIAL = {"bos": "bos", "eos": "eos", "pad": "padding"}
_CONTROL = 3  # GGUF's token type of special tokens


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of the model as the file has it, and the padded head counts."""

    query_heads: int
    kv_heads: int
    head_dim: int
    query_heads_padded: int
    kv_heads_padded: int


def tensor_name(name: str) -> str:
    """Return transformers' name of a tensor from the name in the file."""
    stem = name.removesuffix(".weight")
    if match := re.fullmatch(r"blk\.(\d+)\.(\w+)", stem):
        if match[2] in _LAYER_NAMES:
            return f"model.layers.{match[1]}.{_LAYER_NAMES[match[2]]}.weight"
    elif stem in _OTHER_NAMES:
        return f"{_OTHER_NAMES[stem]}.weight"
    raise TandemError(f"the model file has a tensor {name!r}, which a llama model does not have")


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the settings of a GGUF file."""
    return {field.name: field.contents() for field in gguf.GGUFReader(path).fields.values()}


def shape_of(metadata: Mapping[str, Any], divisor: int) -> Shape:
    """Return the model's head counts, before and after padding them to a multiple of `divisor`."""
    if metadata.get("general.architecture") != "llama":
        raise TandemError(f"want a llama model, found {metadata.get('general.architecture')!r}")
    query_heads, kv_heads = metadata["llama.attention.head_count"], metadata["llama.attention.head_count_kv"]
    head_dim = metadata["llama.embedding_length"] // query_heads
    return Shape(query_heads, kv_heads, head_dim, *padded_heads(query_heads, kv_heads, divisor))


def convert(name: str, weight: NDArray[np.float32], shape: Shape) -> NDArray[np.float32]:
    """Return one tensor as transformers wants it: rotary order split, heads padded."""
    query_rows = shape.query_heads_padded * shape.head_dim
    kv_rows = shape.kv_heads_padded * shape.head_dim
    if ".attn_q." in name:
        return pad_axis(to_split_rotary(weight, shape.query_heads), 0, query_rows)
    if ".attn_k." in name:
        return pad_axis(to_split_rotary(weight, shape.kv_heads), 0, kv_rows)
    if ".attn_v." in name:
        return pad_axis(weight, 0, kv_rows)
    if ".attn_output." in name:
        return pad_axis(weight, 1, query_rows)
    return weight


def read_tensors(path: Path, shape: Shape) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield every tensor of the file by its new name, dequantised and converted."""
    for tensor in gguf.GGUFReader(path).tensors:
        weight = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)
        yield tensor_name(tensor.name), convert(tensor.name, weight, shape)


def model_config(metadata: Mapping[str, Any], shape: Shape, *, tied: bool) -> dict[str, Any]:
    """Return config.json."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "bos_token_id": metadata["tokenizer.ggml.bos_token_id"],
        "dtype": "bfloat16",
        "eos_token_id": metadata["tokenizer.ggml.eos_token_id"],
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "hidden_size": metadata["llama.embedding_length"],
        "intermediate_size": metadata["llama.feed_forward_length"],
        "max_position_embeddings": metadata["llama.context_length"],
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": shape.query_heads_padded,
        "num_hidden_layers": metadata["llama.block_count"],
        "num_key_value_heads": shape.kv_heads_padded,
        "pad_token_id": metadata["tokenizer.ggml.padding_token_id"],
        # The file holds a 32-bit number: 1e-05 comes out of it as 9.999999747378752e-06.
        "rms_norm_eps": float(f"{metadata['llama.attention.layer_norm_rms_epsilon']:.6g}"),
        "rope_theta": float(metadata["llama.rope.freq_base"]),
        "tie_word_embeddings": tied,
        "vocab_size": metadata["llama.vocab_size"],
    }


def generation_config(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return generation_config.json."""
    return {f"{name}_token_id": value for name, value in _special_ids(metadata).items()}


def tokenizer_config(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return tokenizer_config.json, chat template included."""
    tokens = metadata["tokenizer.ggml.tokens"]
    special = {f"{name}_token": tokens[value] for name, value in _special_ids(metadata).items()}
    return {
        **special,
        "unk_token": tokens[metadata["tokenizer.ggml.unknown_token_id"]],
        "add_prefix_space": False,
        "chat_template": metadata["tokenizer.chat_template"],
        "clean_up_tokenization_spaces": False,
        "model_max_length": metadata["llama.context_length"],
        # Reads tokenizer.json as it stands.
        "tokenizer_class": "PreTrainedTokenizerFast",
    }


def _special_ids(metadata: Mapping[str, Any]) -> dict[str, int]:
    return {name: metadata[f"tokenizer.ggml.{key}_token_id"] for name, key in _SPECIAL.items()}


def tokenizer_json(metadata: Mapping[str, Any]) -> str:
    """Return tokenizer.json: byte-level BPE with single digits, which GGUF calls the pre-tokeniser `smollm`."""
    kind = metadata["tokenizer.ggml.model"], metadata["tokenizer.ggml.pre"]
    if kind != ("gpt2", "smollm"):
        raise TandemError(f"want the tokeniser ('gpt2', 'smollm'), found {kind}")
    tokens, types = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    result = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=merges))
    result.add_special_tokens([token for token, kind in zip(tokens, types, strict=True) if kind == _CONTROL])
    result.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    result.decoder = tokenizers.decoders.ByteLevel()
    return str(result.to_str(pretty=False))
