"""The files that the next kernel inherits from."""

import subprocess

import pytest

from plugins.module_utils.kernel_args.files import edit_cmdline, edit_defaults, first_cmdline
from plugins.module_utils.kernel_args.tokens import KernelArgsError, Wanted

WANTED = Wanted(("iommu=pt", "pcie_aspm=off"), ("splash",))
OURS = 'GRUB_CMDLINE_LINUX="iommu=pt pcie_aspm=off"\n'
FEDORA = """GRUB_TIMEOUT=5
GRUB_DISTRIBUTOR="$(sed 's, release .*$,,g' /etc/system-release)"
GRUB_CMDLINE_LINUX="rd.luks.uuid=luks-1 rhgb quiet"
GRUB_ENABLE_BLSCFG=true
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (FEDORA, FEDORA.replace("quiet", "quiet iommu=pt pcie_aspm=off")),
        ("", OURS),
        ("A=1", f"A=1\n{OURS}"),
        ("GRUB_CMDLINE_LINUX=\n", OURS),
        ("GRUB_CMDLINE_LINUX=quiet\n", 'GRUB_CMDLINE_LINUX="quiet iommu=pt pcie_aspm=off"\n'),
        ("GRUB_CMDLINE_LINUX='quiet a=\"b c\"'\n", "GRUB_CMDLINE_LINUX='quiet a=\"b c\" iommu=pt pcie_aspm=off'\n"),
        ('GRUB_CMDLINE_LINUX="a=\\"b c\\" iommu=off"\n', 'GRUB_CMDLINE_LINUX="a=\\"b c\\" iommu=pt pcie_aspm=off"\n'),
        ('GRUB_CMDLINE_LINUX="$A quiet"\n', 'GRUB_CMDLINE_LINUX="$A quiet iommu=pt pcie_aspm=off"\n'),
        ('#GRUB_CMDLINE_LINUX="x"\n', f'#GRUB_CMDLINE_LINUX="x"\n{OURS}'),
        # the last one counts
        ('GRUB_CMDLINE_LINUX="a"\nGRUB_CMDLINE_LINUX=""\n', f'GRUB_CMDLINE_LINUX="a"\n{OURS}'),
        # what would win over ours goes, the rest stays
        (
            f'{OURS}GRUB_CMDLINE_LINUX_DEFAULT="quiet splash iommu=off"\n',
            f'{OURS}GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n',
        ),
        ('GRUB_CMDLINE_LINUX_RECOVERY="iommu=off"\n', f'GRUB_CMDLINE_LINUX_RECOVERY="iommu=off"\n{OURS}'),
    ],
)
def test_grub_s_defaults(before: str, after: str) -> None:
    assert edit_defaults(before, WANTED) == after
    assert edit_defaults(after, WANTED) == after


def test_grub_s_defaults_are_still_shell() -> None:
    script = edit_defaults(FEDORA, WANTED) + 'echo "$GRUB_CMDLINE_LINUX"'
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert said == "rd.luks.uuid=luks-1 rhgb quiet iommu=pt pcie_aspm=off\n"


@pytest.mark.parametrize(
    "line",
    ['"a \\', '"a', 'a"b"', '"a" "b"', '"a" # why', "$(cat x y)", "a\\ b", "'a'b'"],
)
def test_a_line_that_is_more_than_one_word_is_refused(line: str) -> None:
    with pytest.raises(KernelArgsError, match=r'Write it as GRUB_CMDLINE_LINUX="..." on one line. Nothing was changed'):
        edit_defaults(f"GRUB_CMDLINE_LINUX={line}\nB=1\n", WANTED)
    with pytest.raises(KernelArgsError):
        edit_defaults(f'GRUB_CMDLINE_LINUX+="{"a"}"\n', WANTED)


def test_cmdline_keeps_comments_and_order() -> None:
    text = "# of the installer\nroot=UUID=1 ro splash\nrd.luks.uuid=luks-1 iommu=pt\n"
    after = "# of the installer\nroot=UUID=1 ro rd.luks.uuid=luks-1 iommu=pt pcie_aspm=off\n"
    assert edit_cmdline(text, WANTED) == after
    assert edit_cmdline(after, WANTED) == after


def test_a_first_cmdline_has_no_variables() -> None:
    assert first_cmdline(["root=UUID=1", "ro", "$tuned_params", "iommu=pt"]) == "root=UUID=1 ro iommu=pt\n"
