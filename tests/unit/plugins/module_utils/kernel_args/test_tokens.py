"""What a command line becomes."""

import pytest

from plugins.module_utils.kernel_args.tokens import Wanted, apply, differences, split

LUKS = "root=UUID=1 ro rd.luks.uuid=luks-1 rd.luks.uuid=luks-2 resume=UUID=2 quiet"
W = Wanted


@pytest.mark.parametrize(
    ("line", "wanted", "after"),
    [
        ("", W(("iommu=pt",)), "iommu=pt"),
        (LUKS, W(("iommu=pt",)), f"{LUKS} iommu=pt"),
        # a token is not a part of another one
        ("amd_iommu=pt", W(("iommu=pt",)), "amd_iommu=pt iommu=pt"),
        ("iommu=pt2 xiommu=pt", W(("iommu=pt",)), "xiommu=pt iommu=pt"),
        ("amd_iommu=off quieter", W((), ("iommu", "quiet")), "amd_iommu=off quieter"),
        # one value of a name
        ("iommu=off ro", W(("iommu=pt",)), "ro iommu=pt"),
        ("iommu ro", W(("iommu=pt",)), "ro iommu=pt"),
        ("iommu=pt iommu=off", W(("iommu=pt",)), "iommu=pt"),
        ("iommu=pt iommu=pt ro", W(("iommu=pt",)), "iommu=pt iommu=pt ro"),
        ("pci=noaer,realloc", W(("pci=realloc",)), "pci=realloc"),
        ("a=b=c", W(("a=b=d",)), "a=b=d"),
        ("a=", W(("a",)), "a"),
        # several values of a name
        ("console=tty0 ro", W(("console=tty0", "console=ttyS0")), "ro console=tty0 console=ttyS0"),
        ("console=ttyS0 console=tty0", W(("console=tty0", "console=ttyS0")), "console=ttyS0 console=tty0"),
        # the kernel takes - and _ for the same
        ("ttm.pages-limit=1", W(("ttm.pages_limit=31457280",)), "ttm.pages_limit=31457280"),
        ("ttm.pages-limit=31457280", W(("ttm.pages_limit=31457280",)), "ttm.pages-limit=31457280"),
        # absent
        ("quiet a=1 a=2 b", W((), ("a",)), "quiet b"),
        ("quiet a=1 a=2 a", W((), ("a=2", "quiet")), "a=1 a"),
        ("quiet=1", W((), ("quiet",)), ""),
        # quotes
        ('iommu="pt"', W(("iommu=pt",)), 'iommu="pt"'),
        ('"iommu=pt"', W(("iommu=pt",)), '"iommu=pt"'),
        ('dyndbg="file x +p; iommu=off" a', W(("iommu=pt",)), 'dyndbg="file x +p; iommu=off" a iommu=pt'),
        ('a="b c" d', W((), ("a",)), "d"),
        ('a="never closed', W(("d",)), 'a="never closed d'),
        # variables of GRUB
        ("$kernelopts $tuned_params", W(("a",)), "$kernelopts $tuned_params a"),
    ],
)
def test_a_line_becomes_what_is_wanted_and_stays_so(line: str, wanted: Wanted, after: str) -> None:
    tokens = apply(split(line), wanted)
    assert " ".join(tokens) == after
    if "never closed" not in line:
        assert apply(split(after), wanted) == tokens
        assert differences(tokens, wanted) == []


def test_differences_are_told_in_words() -> None:
    found = differences(split("ro iommu=off quiet"), Wanted(("iommu=pt", "pcie_aspm=off"), ("quiet", "splash")))
    assert found == ["iommu=pt is missing (it has iommu=off)", "pcie_aspm=off is missing", "quiet is there"]
