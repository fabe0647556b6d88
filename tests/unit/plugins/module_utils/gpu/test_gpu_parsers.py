"""What is read from the outputs under tests/fixtures/gpu, which are derived: see the README there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.gpu.amd_smi import AmdSmiError, SmiGpu, SmiVersions, parse_static, parse_version
from plugins.module_utils.gpu.kfd import KfdGpu, gfx_name, is_integrated, parse_properties, pci_address, to_gpu
from plugins.module_utils.gpu.rocminfo import Agent, RocminfoError, parse_rocminfo
from plugins.module_utils.gpu.torch_build import TorchBuild, parse_version_file

FIXTURES = Path(__file__).parents[4] / "fixtures" / "gpu"
GIB, KIB = 2**30, 2**10


def read(name: str) -> str:
    return (FIXTURES / name).read_text()


def gpus(case: str) -> list[Agent]:
    return [agent for agent in parse_rocminfo(read(f"rocminfo-{case}.txt")) if agent.device_type == "GPU"]


def test_strix_halo_in_rocminfo() -> None:
    processor, gpu = parse_rocminfo(read(f"rocminfo-{'gfx1151'}.txt"))
    assert processor == Agent(
        name="AMD RYZEN AI MAX+ 395 w/ Radeon 8060S",
        marketing_name="AMD RYZEN AI MAX+ 395 w/ Radeon 8060S",
        device_type="CPU",
        bdf=0,
        is_apu=False,
        compute_units=32,
        memory_bytes=131157496 * KIB,
    )
    # Its name is the agent's, not that of its instruction set; its memory that of no other pool.
    assert gpu == Agent("gfx1151", "AMD Radeon 8060S Graphics", "GPU", 0xC300, True, 40, 120 * GIB)


def test_a_card_beside_the_processors_own_gpu() -> None:
    card, own = gpus("desktop")
    assert (card.name, card.is_apu, card.bdf, card.memory_bytes) == ("gfx1100", False, 0x300, 25149440 * KIB)
    assert (own.name, own.is_apu, own.bdf, own.memory_bytes) == ("gfx1036", True, 0x1100, 524288 * KIB)


def test_two_cards_of_a_kind() -> None:
    assert [(gpu.name, gpu.bdf, gpu.compute_units) for gpu in gpus("server")] == [
        ("gfx942", 0x500, 304),
        ("gfx942", 0x2600, 304),
    ]


def test_an_old_rocminfo() -> None:
    (gpu,) = gpus("old")
    assert (gpu.name, gpu.marketing_name, gpu.memory_bytes) == ("gfx906", "Vega 20", 16760832 * KIB)


def test_processors_alone() -> None:
    assert gpus("processors") == []


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("unloaded", "module is NOT loaded, possibly no GPU devices (the driver amdgpu is not loaded"),
        ("denied", "may open /dev/kfd (render)"),
        ("invalid", "Unable to open /dev/kfd read-write: Invalid argument"),
        ("truncated", "its output ends early, with"),
    ],
)
def test_rocminfo_that_tells_no_agents(case: str, words: str) -> None:
    with pytest.raises(RocminfoError) as error:
        parse_rocminfo(read(f"rocminfo-{case}.txt"))
    assert words in str(error.value)
    assert "\x1b" not in str(error.value)


def test_rocminfo_that_says_nothing() -> None:
    with pytest.raises(RocminfoError, match="it printed nothing"):
        parse_rocminfo("")


@given(st.integers(0, 4000))
def test_no_part_of_an_output_passes_for_the_whole(length: int) -> None:
    """Wherever it is cut, all agents are found or it is an error."""
    whole = read(f"rocminfo-{'gfx1151'}.txt")
    cut = whole[: len(whole) - length]
    try:
        found = parse_rocminfo(cut)
    except RocminfoError:
        return
    assert found == parse_rocminfo(whole)


def test_strix_halo_in_amd_smi() -> None:
    assert parse_static(read("smi-gfx1151.json")) == [
        SmiGpu("0000:c3:00.0", "gfx1151", "Radeon 8060S Graphics", "6.18.6-200.fc43.x86_64", 40, 512 * 2**20)
    ]


def test_the_older_form_of_amd_smi() -> None:
    first, second = parse_static(read("smi-server.json"))
    assert (first.pci_address, second.pci_address) == ("0000:05:00.0", "0000:26:00.0")
    assert second == SmiGpu("0000:26:00.0", "gfx942", "AMD Instinct MI300X", "6.10.5", 304, 196592 * 2**20)


def test_values_that_amd_smi_does_not_know() -> None:
    assert parse_static(read("smi-unknown.json")) == [SmiGpu("0000:c3:00.0", None, None, None, None, None)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (read("smi-truncated.json"), "broken or ends early"),
        (read("smi-unloaded.txt"), "driver not initialized (amdgpu not found in modules)"),
        ("", "it printed nothing"),
        ('{"gpu_data": 1}', "no list of GPUs"),
    ],
)
def test_amd_smi_that_tells_no_gpus(text: str, words: str) -> None:
    with pytest.raises(AmdSmiError) as error:
        parse_static(text)
    assert words in str(error.value)


@pytest.mark.parametrize("wrap", ["{}", "[{}]"])
def test_versions(wrap: str) -> None:
    entry = json.dumps(json.loads(read("smi-version.json"))[0])
    assert parse_version(wrap.replace("{}", entry)) == SmiVersions("26.2.1", "7.2.0")
    with pytest.raises(AmdSmiError, match="no versions"):
        parse_version("[]")


@pytest.mark.parametrize(
    ("version", "name"),
    [(110501, "gfx1151"), (110000, "gfx1100"), (90402, "gfx942"), (90010, "gfx90a"), (120001, "gfx1201"), (0, None)],
)
def test_names_of_architectures(version: int, name: str | None) -> None:
    assert gfx_name(version) == name


@given(st.integers(0, 0xFFFF), st.integers(0, 255), st.integers(0, 31), st.integers(0, 7))
def test_pci_addresses(domain: int, bus: int, device: int, function: int) -> None:
    address = pci_address(domain, bus << 8 | device << 3 | function)
    assert address == f"{domain:04x}:{bus:02x}:{device:02x}.{function}"


@pytest.mark.parametrize(
    ("case", "gpu"),
    [
        ("processor", None),
        ("gfx1151", KfdGpu(1, "gfx1151", "0000:c3:00.0", 40, 128)),
        ("gfx1100", KfdGpu(1, "gfx1100", "0000:03:00.0", 96, 128)),
        ("gfx1036", KfdGpu(1, "gfx1036", "0000:11:00.0", 2, 129)),
        ("gfx942", KfdGpu(1, "gfx942", "0001:26:00.0", 304, 136)),
    ],
)
def test_nodes_of_the_topology(case: str, gpu: KfdGpu | None) -> None:
    assert to_gpu(1, parse_properties(read(f"kfd-{case}.txt"))) == gpu


def test_a_node_that_was_cut_off() -> None:
    text = read(f"kfd-{'gfx1151'}.txt")
    assert to_gpu(1, parse_properties(text[: text.index("location_id") + 11])) is None


@pytest.mark.parametrize(
    ("architecture", "answer"), [("gfx1151", True), ("gfx1100", False), ("gfx942", None), (None, None)]
)
def test_which_gpus_share_the_memory(architecture: str | None, answer: bool | None) -> None:
    assert is_integrated(architecture) is answer


@pytest.mark.parametrize(
    ("case", "build"),
    [
        ("cpu", TorchBuild("2.13.0+cpu", None, None)),
        ("cuda", TorchBuild("2.11.0+cu130", "13.0", None)),
        ("rocm", TorchBuild("2.11.0+rocm7.2", None, "7.2.26015")),
        ("older", TorchBuild("2.1.2+cu121", "12.1", None)),
    ],
)
def test_builds_of_torch(case: str, build: TorchBuild) -> None:
    assert parse_version_file(read(f"torch-{case}.txt")) == build
