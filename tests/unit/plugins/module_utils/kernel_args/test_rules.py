"""What is refused, and what is said."""

import pytest

from plugins.module_utils.kernel_args.rules import check_wanted
from plugins.module_utils.kernel_args.tokens import KernelArgsError, Wanted


@pytest.mark.parametrize(
    ("present", "absent", "words"),
    [
        (["amd_iommu=pt"], [], "Unknown option - 'pt'\" and does nothing; write iommu=pt"),
        (["amd-iommu=pt"], [], "write iommu=pt"),
        (["amd_iommu=on"], [], "leave it out"),
        (["amdgpu.gttsize=126976", "ttm.pages_limit=31457280"], [], "amdgpu.gttsize beside ttm.pages_limit"),
        (["ttm.pages_limit=120"], [], "'ttm.pages_limit=120' is no number of pages (of 4 KiB, 262144 to the GiB)"),
        (["ttm.pages_limit=120G"], [], "is no number of pages"),
        (["ttm.pages_limit"], [], "is no number of pages"),
        (["a b"], [], "'a b' is not one name or name=value without spaces"),
        (['a="b"'], [], "without spaces, quotes"),
        (["a=*"], [], "wildcards"),
        (["a=$b"], [], "is not one name"),
        ([""], [], "'' is not one name"),
        (["=a"], [], "'=a' is not one name"),
        (["--"], [], "'--' is not one name"),
        (["root=/dev/sda1"], [], "'root=/dev/sda1' belongs to the system's installation"),
        ([], ["rd.luks.uuid"], "'rd.luks.uuid' belongs to the system's installation"),
        ([], ["resume"], "belongs to"),
        (["iommu=pt"], ["iommu"], "'iommu' is to be absent, and iommu is to be present"),
        (["iommu=pt"], ["iommu=pt"], "'iommu=pt' is to be absent"),
    ],
)
def test_what_cannot_be_set_is_refused_with_the_reason(present: list[str], absent: list[str], words: str) -> None:
    with pytest.raises(KernelArgsError) as refused:
        check_wanted(Wanted(tuple(present), tuple(absent)))
    assert words in str(refused.value)
    assert str(refused.value).endswith("Nothing was changed")


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(KernelArgsError, match=r"'root=x' belongs.*write iommu=pt"):
        check_wanted(Wanted(("amd_iommu=pt", "root=x")))


@pytest.mark.parametrize(
    "present",
    [
        ["iommu=pt", "pci=realloc", "pcie_aspm=off", "ttm.pages_limit=31457280", "amdgpu.vm_update_mode=0"],
        ["amd_iommu=off", "pci=resource_alignment=35@0000:8c:00.0", "console=ttyS0,115200n8", "nosmt"],
        ["amdgpu.gttsize=126976"],
    ],
)
def test_what_is_right_passes(present: list[str]) -> None:
    check_wanted(Wanted(tuple(present), ("iommu=off", "rd.driver.blacklist")))
