"""Every boot entry has what is wanted, after two converges and what side_effect.yml asked for."""

import pytest

KEPT = "root=UUID=1 ro rootflags=subvol=root rd.luks.uuid=luks-1 resume=UUID=2 rhgb quiet"
OURS = "iommu=pt pci=realloc pcie_aspm=off ttm.pages_limit=262144"


@pytest.mark.parametrize(
    ("entry", "options"),
    [
        ("m-6.18.4", f"{KEPT} {OURS}"),
        ("m-6.17.12", f"{KEPT} amd_iommu=off {OURS}"),
        ("m-0-rescue", f"{KEPT} {OURS}"),
        ("other", "iommu=off"),
    ],
)
def test_entries(host, entry, options):
    assert f"\noptions {options}\n" in host.file(f"/boot/loader/entries/{entry}.conf").content_string


def test_the_next_kernel_inherits(host):
    assert host.file("/etc/kernel/cmdline").content_string == f"{KEPT} {OURS}\n"
    assert host.file("/etc/default/grub").content_string.splitlines()[1:] == [
        f'GRUB_CMDLINE_LINUX="rd.luks.uuid=luks-1 rhgb quiet {OURS}"',
        'GRUB_CMDLINE_LINUX_DEFAULT="loglevel=4"',
    ]


def test_each_entry_was_changed_once(host):
    calls = host.file("/grubby.log").content_string.splitlines()
    assert sum(call.startswith("--update-kernel=") for call in calls) == 3
