"""The model that is planned for, with its types: built once for each number of ranks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tandem.errors import TandemError
from tandem.plan import kv, weights
from tandem.plan.architectures import registry
from tandem.plan.config import Config
from tandem.plan.model import Model
from tandem.plan.quantization import DTYPE_BYTES, KV_DTYPE_BYTES, Scheme, named, plain, scheme_of
from tandem.plan.request import Wishes
from tandem.plan.weights import Checkpoint


@dataclass
class Subject:
    """A model and the types it is kept in."""

    config: Config
    dtype: str
    kv_cache_dtype: str
    recurrent_dtype: str
    scheme: Scheme
    form: kv.Format
    checkpoint: Checkpoint | None
    images: bool
    #: The checkpoint's bytes per byte of arithmetic; 1 without one.
    factor: float = 1.0
    notes: list[str] = field(default_factory=list)
    _models: dict[int, Model | TandemError] = field(default_factory=dict)

    def model(self, ranks: int) -> Model:
        """Return the model as one of ``ranks`` holds it, or raise why it cannot be cut like that."""
        if ranks not in self._models:
            try:
                self._models[ranks] = registry.build(self.config, ranks, images=self.images)
            except TandemError as error:
                self._models[ranks] = error
        found = self._models[ranks]
        if isinstance(found, TandemError):
            raise found
        return found

    def weight_bytes(self, model: Model, stage: int = 0, stages: int = 1) -> int:
        """Return what a rank of one stage holds."""
        size = weights.stage_bytes(model, stage, stages, self.scheme, self.form.dtype_bytes)
        return round(size * self.factor)


def subject_of(config: Config, wishes: Wishes, checkpoint: Checkpoint | None = None) -> Subject:
    """Return the model with the types that the config and the wishes come to."""
    whole = registry.build(config, 1, images=wishes.images)
    dtype = _dtype(config, wishes)
    size = DTYPE_BYTES[dtype]
    kv_dtype = _kv_dtype(config, wishes, dtype)
    recurrent = wishes.recurrent_dtype if wishes.recurrent_dtype != "auto" else whole.recurrent_dtype or dtype
    if recurrent not in DTYPE_BYTES:
        raise TandemError(
            f"{config.where}: the recurrent state's type is {recurrent!r}; choose one of {', '.join(DTYPE_BYTES)} by "
            "--mamba-ssm-cache-dtype"
        )
    form = kv.Format(size, KV_DTYPE_BYTES[kv_dtype], DTYPE_BYTES[recurrent], wishes.block_size)
    form = replace(form, prefix_caching=wishes.enable_prefix_caching and not whole.attention_free)
    scheme = _scheme(config, wishes, size, checkpoint)
    subject = Subject(config, dtype, kv_dtype, recurrent, scheme, form, checkpoint, wishes.images)
    subject.notes += whole.notes
    if checkpoint is not None:
        _use(subject, whole, checkpoint)
    return subject


def _dtype(config: Config, wishes: Wishes) -> str:
    if wishes.dtype != "auto":
        return wishes.dtype
    text = registry.text_section(config)
    for section in (text, config):
        for name in ("dtype", "torch_dtype"):
            if section.has(name):
                given = section.word(name).removeprefix("torch.")
                if given not in DTYPE_BYTES:
                    section.refuse(name, f"one of {', '.join(DTYPE_BYTES)}, or give --dtype")
                # vLLM serves weights of 32 bits in 16.
                return "bfloat16" if given == "float32" else given
    return "bfloat16"


def _kv_dtype(config: Config, wishes: Wishes, dtype: str) -> str:
    if wishes.kv_cache_dtype != "auto":
        return wishes.kv_cache_dtype
    section = config.section("quantization_config")
    if section is not None:
        scheme = section.raw("kv_cache_scheme")
        of_eight_bits = isinstance(scheme, dict) and scheme.get("num_bits") == 8 and scheme.get("type") == "float"
        if of_eight_bits or str(section.raw("kv_cache_quant_algo")).upper() == "FP8":
            return "fp8"
    return dtype


def _scheme(config: Config, wishes: Wishes, dtype_bytes: int, checkpoint: Checkpoint | None) -> Scheme:
    scheme = scheme_of(config, dtype_bytes)
    if scheme is None:
        section = config.section("quantization_config", "compression_config")
        method = section.raw("quant_method") if section else None
        if checkpoint is None:
            raise TandemError(
                f"{config.where}: quantization_config of method {method!r} is not understood as it stands; give the "
                "exact bytes by --weights model.safetensors.index.json"
            )
        return replace(plain(dtype_bytes), name=str(method), exact=False)
    if wishes.quantization is None:
        return scheme
    if scheme.name != "none":
        raise TandemError(
            f"--quantization {wishes.quantization}: the checkpoint is quantised already ({scheme.name}); leave it out"
        )
    return named(wishes.quantization, dtype_bytes)


def _use(subject: Subject, whole: Model, checkpoint: Checkpoint) -> None:
    """Scale arithmetic to the bytes of the files, which are exact."""
    size = subject.form.dtype_bytes
    loaded = checkpoint.loaded_bytes(whole)
    counted = weights.stage_bytes(whole, 0, 1, subject.scheme, size)
    added = weights.padding_bytes(whole, size)
    stored = _stored_dtype_bytes(subject.config)
    if subject.scheme.name == "none" and stored and stored != size:
        loaded = loaded * size // stored
    if not subject.images:
        subject.notes.append(f"{checkpoint.source} counts a vision tower that is not loaded, so arithmetic is used")
        return
    factor = (loaded + added) / counted
    if subject.scheme.exact and checkpoint.tensors is None and not 0.97 <= factor <= 1.03:
        subject.notes.append(
            f"{checkpoint.source} has {loaded} bytes where the config comes to {counted - added}: "
            "look whether both are of one model, and whether it holds what vLLM does not load"
        )
    subject.factor = factor


def _stored_dtype_bytes(config: Config) -> int | None:
    text = registry.text_section(config)
    for section in (text, config):
        for name in ("dtype", "torch_dtype"):
            if section.has(name):
                return DTYPE_BYTES.get(section.word(name).removeprefix("torch."))
    return None
