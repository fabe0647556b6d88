"""The module against a grubby that keeps real BLS files, and by transcripts with what that cannot do."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.kernel_args import boot
from plugins.module_utils.process import CommandResult, CommandTimeout, ToolMissing
from plugins.modules import kernel_args

RunModule = Callable[..., dict[str, Any]]
FIXTURES = Path(__file__).parents[3] / "fixtures" / "grubby"
MACHINE = "0123456789abcdef0123456789abcdef"
LUKS = "root=UUID=1 ro rootflags=subvol=root rd.luks.uuid=luks-1 rd.lvm.lv=f/root rd.lvm.lv=f/swap resume=UUID=2 quiet"
WANTED = ["iommu=pt", "pci=realloc", "pcie_aspm=off", "ttm.pages_limit=31457280"]
OURS = " ".join(WANTED)
DEFAULTS = 'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="rd.luks.uuid=luks-1 quiet"\nGRUB_CMDLINE_LINUX_DEFAULT="loglevel=4"\n'


class Node:
    """A node's files, and the calls of grubby."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("boot/loader/entries", "etc/default", "etc/kernel", "proc", "run", "bin"):
            (root / folder).mkdir(parents=True)
        self.write("proc/cmdline", f"BOOT_IMAGE=(hd0,gpt2)/vmlinuz-6.18.4 {LUKS}\n")
        self.write("etc/default/grub", DEFAULTS)
        self.write("etc/kernel/cmdline", f"{LUKS}\n")

    def write(self, path: str, text: str) -> None:
        (self.root / path).write_text(text)

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def entry(self, name: str, options: str | None = LUKS, linux: str = "") -> None:
        """Write a boot entry as Fedora's kernel-install does; no options means no such line."""
        lines = [f"title Fedora Linux ({name}) 43 (Forty Three)", f"version {name}", linux or f"linux /vmlinuz-{name}"]
        lines += [f"initrd /initramfs-{name}.img"] if not linux else []
        lines += [f"options {options}"] if options is not None else []
        lines += ["grub_users $grub_users", "grub_arg --unrestricted", "grub_class fedora"]
        self.write(f"boot/loader/entries/{MACHINE}-{name}.conf", "\n".join(lines) + "\n")

    def options(self, name: str) -> str:
        text = self.read(f"boot/loader/entries/{MACHINE}-{name}.conf")
        return next(line.removeprefix("options ") for line in text.splitlines() if line.startswith("options"))

    def files(self) -> dict[str, tuple[str, int]]:
        """All files with their content and inode, so that one that was written anew is seen."""
        found = [path for place in ("boot", "etc") for path in (self.root / place).rglob("*") if path.is_file()]
        return {str(path): (path.read_text(), path.stat().st_ino) for path in found}

    @property
    def calls(self) -> list[str]:
        log = self.root / "grubby.log"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A node with grubby, alone on the path, and no entries yet."""
    made = Node(tmp_path)
    tool = tmp_path / "bin" / "grubby"
    tool.write_text(f'#!/bin/sh\nexec {sys.executable} {FIXTURES / "grubby.py"} "$@"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent))
    monkeypatch.setenv("GRUBBY_ROOT", str(tmp_path))
    return made


@pytest.fixture
def run(node: Node, run_module: RunModule) -> RunModule:
    def with_root(**arguments: Any) -> dict[str, Any]:
        return run_module(kernel_args.main, root=str(node.root), **arguments)

    return with_root


@pytest.fixture
def fedora(node: Node) -> Node:
    """Two kernels, the rescue entry, another system, and a memory tester without options."""
    node.entry("6.18.4-200.fc43.x86_64")
    node.entry("6.17.12-300.fc43.x86_64", LUKS.replace("quiet", "quiet amd_iommu=off iommu=off"))
    node.entry("0-rescue", f"{LUKS} nomodeset", f"linux /vmlinuz-0-rescue-{MACHINE}")
    node.entry("other", "iommu=off", "efi /EFI/other/boot.efi")
    node.entry("memtest", None, "linux /memtest86+x64.efi")
    return node


def test_every_entry_gets_what_is_wanted_and_keeps_the_rest(fedora: Node, run: RunModule) -> None:
    result = run(present=WANTED)
    assert (result["changed"], result["reboot_required"], result["tool"]) == (True, True, "grubby")
    entries = [f"{MACHINE}-{name}" for name in ("6.18.4-200.fc43.x86_64", "6.17.12-300.fc43.x86_64", "0-rescue")]
    files = [str(fedora.root / name) for name in ("etc/kernel/cmdline", "etc/default/grub")]
    assert result["changed_places"] == [*entries, *files]
    assert fedora.options("6.18.4-200.fc43.x86_64") == f"{LUKS} {OURS}"
    # A token is no part of another: amd_iommu is not iommu.
    assert fedora.options("6.17.12-300.fc43.x86_64") == f"{LUKS} amd_iommu=off {OURS}"
    assert fedora.options("0-rescue") == f"{LUKS} nomodeset {OURS}"
    assert fedora.options("other") == "iommu=off"
    assert sorted(result["skipped_entries"]) == [f"{MACHINE}-memtest", f"{MACHINE}-other"]
    assert fedora.read("etc/kernel/cmdline") == f"{LUKS} {OURS}\n"
    assert fedora.read("etc/default/grub") == DEFAULTS.replace("quiet", f"quiet {OURS}")


def test_a_second_run_changes_nothing(fedora: Node, run: RunModule) -> None:
    run(present=WANTED, absent=["quiet"])
    before = fedora.files()
    result = run(present=WANTED, absent=["quiet"])
    assert (result["changed"], result["reboot_required"]) == (False, True)
    assert result["diff"]["before"] == result["diff"]["after"]
    assert fedora.files() == before
    assert fedora.calls[-1:] == ["--info=ALL"]
    assert not fedora.calls[-2].startswith("--update")


def test_check_mode_changes_nothing_and_promises_the_same(fedora: Node, run: RunModule) -> None:
    before = fedora.files()
    promised = run(present=WANTED, check_mode=True)
    assert fedora.files() == before
    assert fedora.calls == ["--info=ALL"]
    real = run(present=WANTED)
    del promised["invocation"], real["invocation"]
    assert promised == real
    assert f"{MACHINE}-0-rescue:\n  root=UUID=1\n" in real["diff"]["before"]
    assert "  nomodeset\n  iommu=pt\n" in real["diff"]["after"]


def test_only_entries_that_differ_are_touched(fedora: Node, run: RunModule) -> None:
    run(present=WANTED)
    fedora.entry("6.18.9-200.fc43.x86_64")
    before = fedora.files()
    assert run(present=WANTED)["changed"]
    changed = {Path(path).name for path, state in fedora.files().items() if state != before[path]}
    assert changed == {f"{MACHINE}-6.18.9-200.fc43.x86_64.conf"}
    assert [call.split("=", 2)[2] for call in fedora.calls[-4:] if call.startswith("--update-kernel")] == [OURS]


@pytest.mark.parametrize(
    ("options", "arguments", "after"),
    [
        ("iommu=off iommu=soft", {"present": ["iommu=pt"]}, "iommu=pt"),
        ("iommu iommu iommu", {"present": ["iommu=pt"]}, "iommu=pt"),
        ("quiet quiet quiet splash", {"absent": ["quiet"]}, "splash"),
        ("console=tty0 console=ttyS0", {"absent": ["console=ttyS0"]}, "console=tty0"),
        ("console=tty0", {"present": ["console=tty0", "console=ttyS0,115200"]}, "console=tty0 console=ttyS0,115200"),
        ("amdgpu.gttsize=126976", {"present": WANTED, "absent": ["amdgpu.gttsize"]}, OURS),
        ("ttm.pages-limit=1", {"present": ["ttm.pages_limit=31457280"]}, "ttm.pages_limit=31457280"),
        ('a="b c" iommu=off', {"present": ["iommu=pt"]}, 'a="b c" iommu=pt'),
        ('iommu="off"', {"present": ["iommu=pt"]}, "iommu=pt"),
        ("iommu=off $tuned_params", {"present": ["iommu=pt"]}, "$tuned_params iommu=pt"),
        ("memmap=4G$12G a=x/y,z", {"present": ["pci=a/b"]}, "memmap=4G$12G a=x/y,z pci=a/b"),
    ],
)
def test_lines(node: Node, run: RunModule, options: str, arguments: dict[str, Any], after: str) -> None:
    node.entry("6.18.4", f"root=UUID=1 ro {options}")
    assert run(**arguments)["changed"]
    assert node.options("6.18.4") == f"root=UUID=1 ro {after}"
    assert not run(**arguments)["changed"]


def test_variables_of_grub_are_read_for_what_they_stand_for(node: Node, run: RunModule) -> None:
    (node.root / "boot/grub2").mkdir()
    node.write("boot/grub2/grubenv", f"# GRUB Environment Block\nkernelopts={LUKS} iommu=pt\n")
    node.entry("6.18.4", "$kernelopts $tuned_params")
    assert run(present=["iommu=pt"])["changed"]  # /etc/kernel/cmdline
    assert node.options("6.18.4") == "$kernelopts $tuned_params"
    run(present=["pcie_aspm=off"])
    assert node.options("6.18.4") == f"{LUKS} iommu=pt $tuned_params pcie_aspm=off"


@pytest.mark.parametrize("text", [None, "", "\n"])
def test_a_missing_cmdline_is_made_of_the_newest_kernel(fedora: Node, run: RunModule, text: str | None) -> None:
    path = fedora.root / "etc/kernel/cmdline"
    path.unlink()
    path.parent.rmdir()
    if text is not None:
        path.parent.mkdir()
        path.write_text(text)
    assert "/etc/kernel/cmdline:\n" in run(present=WANTED, check_mode=True)["diff"]["after"]
    run(present=WANTED)
    assert path.read_text() == f"{LUKS} {OURS}\n"
    assert path.stat().st_mode & 0o777 == 0o644


def test_files_keep_their_mode_and_those_that_are_not_there_are_not_made(fedora: Node, run: RunModule) -> None:
    (fedora.root / "etc/kernel/cmdline").chmod(0o600)
    (fedora.root / "etc/default/grub").unlink()
    run(present=WANTED)
    assert (fedora.root / "etc/kernel/cmdline").stat().st_mode & 0o777 == 0o600
    assert not (fedora.root / "etc/default/grub").exists()


def test_after_the_reboot_nothing_is_left(fedora: Node, run: RunModule) -> None:
    run(present=WANTED)
    fedora.write("proc/cmdline", f"BOOT_IMAGE=(hd0,gpt2)/vmlinuz-6.18.4 {LUKS} {OURS}\n")
    result = run(present=WANTED)
    assert (result["changed"], result["reboot_required"], result["running_differences"]) == (False, False, [])


@pytest.mark.parametrize(
    ("cmdline", "differences"),
    [
        ("amd_iommu=pt", ["iommu=pt is missing"]),
        ("iommu=pt iommu=off", ["iommu=pt is missing (it has iommu=pt iommu=off)"]),
        ("iommu=pt quiet", ["quiet is there"]),
    ],
)
def test_the_running_kernel_is_asked(node: Node, run: RunModule, cmdline: str, differences: list[str]) -> None:
    node.entry("6.18.4", "root=UUID=1 iommu=pt")
    node.write("proc/cmdline", cmdline)
    result = run(present=["iommu=pt"], absent=["quiet"])
    assert (result["reboot_required"], result["running_differences"]) == (True, differences)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("ro", {"present": ["amd_iommu=pt"]}, "write iommu=pt"),
    ("ro amdgpu.gttsize=126976", {"present": WANTED}, "6.18.4 would have both ttm.pages_limit and amdgpu.gttsize"),
    (
        'ro iommu="off soft"',
        {"present": ["iommu=pt"]},
        "which grubby cannot keep or replace. Nothing was changed. Edit ",
    ),
    ('ro "iommu=off"', {"present": ["iommu=pt"]}, "it needs root=UUID=1 ro iommu=pt"),
    ('ro dyndbg="file x; iommu=off"', {"present": ["iommu=pt"]}, "'dyndbg=\"file x; iommu=off\"', which grubby"),
    ("ro a=b&c", {"present": ["iommu=pt"]}, "'a=b&c', which grubby"),
    ("ro a=*", {"present": ["iommu=pt"]}, "'a=*', which grubby"),
    ("ro ttm-pages-limit=1 ttmxpages_limit=1", {"present": WANTED}, "'ttmxpages_limit=1', which grubby"),
    ("ro -- foo", {"present": ["iommu=pt"]}, "'--', which grubby"),
]


@pytest.mark.parametrize(("options", "arguments", "words"), REFUSED, ids=[entry[0] for entry in REFUSED])
def test_what_cannot_be_done_is_refused_before_anything_changes(
    node: Node, run: RunModule, options: str, arguments: dict[str, Any], words: str
) -> None:
    node.entry("6.18.9", "root=UUID=1 ro")
    node.entry("6.18.4", f"root=UUID=1 {options}")
    before = node.files()
    for check_mode in (True, False):
        result = run(**arguments, check_mode=check_mode)
        assert result["failed"]
        assert words in result["msg"]
        assert "Nothing was changed" in result["msg"]
    assert node.files() == before


def test_defaults_that_are_not_understood_are_refused_before_anything_changes(fedora: Node, run: RunModule) -> None:
    fedora.write("etc/default/grub", 'GRUB_CMDLINE_LINUX="quiet \\\n  splash"\n')
    before = fedora.files()
    assert 'Write it as GRUB_CMDLINE_LINUX="..." on one line' in run(present=WANTED)["msg"]
    assert fedora.files() == before


def test_a_node_without_entries_is_told_what_to_do(node: Node, run: RunModule) -> None:
    result = run(present=WANTED)
    assert result["failed"]
    assert "grubby knows no boot entry" in result["msg"]
    assert "kernel_args_manage: false" in result["msg"]


def test_entries_of_other_systems_only(node: Node, run: RunModule) -> None:
    node.entry("other", "x", "efi /EFI/other/boot.efi")
    assert "None of grubby's boot entries starts Linux" in run(present=WANTED)["msg"]


# ---- transcripts: exact commands with their answers

INFO = """index=0
kernel="/boot/vmlinuz-6.18.4-200.fc43.x86_64"
args="ro quiet"
root="UUID=1"
initrd="/boot/initramfs-6.18.4-200.fc43.x86_64.img"
title="Fedora Linux (6.18.4-200.fc43.x86_64) 43 (Forty Three)"
id="0123456789abcdef0123456789abcdef-6.18.4-200.fc43.x86_64"
"""
UPDATE = "grubby --update-kernel=0 --args=iommu=pt"
READ = "grubby --info=ALL"
KARGS = "rpm-ostree kargs"
OSTREE = "root=UUID=1 rw ostree=/ostree/boot.1/fedora/0 iommu=off quiet"
OSTREE_UPDATE = f"{KARGS} --delete-if-present=iommu=off --append-if-missing=iommu=pt --append-if-missing=pcie_aspm=off"


@pytest.fixture
def transcript(node: Node, run: RunModule, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    def replay(steps: list[tuple[str, Any]], **arguments: Any) -> dict[str, Any]:
        left = list(steps)

        def answer(argv: Any, *, timeout_s: float) -> CommandResult:
            assert 0 < timeout_s <= boot.UPDATE_TIMEOUT_S
            assert left, f"unexpected: {argv}"
            wanted, said = left.pop(0)
            assert " ".join(argv) == wanted
            if isinstance(said, Exception):
                raise said
            return said if isinstance(said, CommandResult) else CommandResult(tuple(argv), 0, said, "")

        monkeypatch.setattr(kernel_args, "run_command", answer)
        result = run(**arguments)
        assert not left
        return result

    return replay


def failed(words: str) -> CommandResult:
    return CommandResult((), 1, "", words)


def test_ostree_hosts_go_through_rpm_ostree(node: Node, transcript: RunModule) -> None:
    node.write("run/ostree-booted", "")
    before = node.files()
    wanted = {"present": ["iommu=pt", "pcie_aspm=off"]}
    after = f"{OSTREE.replace(' iommu=off', '')} iommu=pt pcie_aspm=off"
    result = transcript([(KARGS, OSTREE), (OSTREE_UPDATE, "Staging deployment... done"), (KARGS, after)], **wanted)
    assert (result["changed"], result["reboot_required"], result["tool"]) == (True, True, "rpm-ostree")
    assert not transcript([(KARGS, after)], **wanted)["changed"]
    assert transcript([(KARGS, OSTREE)], **wanted, check_mode=True)["changed"]
    # Its /etc is not where the next deployment inherits from.
    assert node.files() == before


FAULTS: list[tuple[list[tuple[str, Any]], str]] = [
    ([(READ, ToolMissing("grubby is not installed on this node"))], "dnf install grubby"),
    ([(READ, CommandTimeout("grubby --info=ALL did not end within 60 s and was killed"))], "did not end within 60 s"),
    ([(READ, failed("/usr/sbin/grubby: line 42: broken"))], "ended with status 1 and said: /usr/sbin/grubby: line 42"),
    ([(READ, "index=0\nwhat is this\n")], "printed a line that is not understood: 'what is this'"),
    ([(READ, 'index=0\nkernel="/boot/v"\n')], "says no kernel or no args of entry '0'"),
    ([(READ, "index=x\n")], "says no kernel or no args of entry 'x'"),
    ([(READ, "index=0\nnon linux entry\n")], "None of grubby's boot entries starts Linux"),
    ([(READ, INFO), (UPDATE, failed("sed: couldn't open temporary file"))], "couldn't open temporary file"),
    (
        [(READ, INFO), (UPDATE, ""), (READ, INFO)],
        "has become 'root=UUID=1 ro quiet'; wanted was 'root=UUID=1 ro quiet iommu",
    ),
    (
        [(READ, INFO), (UPDATE, ""), (READ, INFO.replace("ro quiet", "iommu=pt"))],
        "it was 'root=UUID=1 ro quiet'. Correct it before this node reboots",
    ),
]


@pytest.mark.parametrize(("steps", "words"), FAULTS, ids=[entry[1][:30] for entry in FAULTS])
def test_faults_are_told(transcript: RunModule, steps: list[tuple[str, Any]], words: str) -> None:
    result = transcript(steps, present=["iommu=pt"])
    assert result["failed"]
    assert words in result["msg"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("", "printed no line of kernel arguments"),
        (failed("error: Transaction in progress: upgrade"), "Transaction in progress"),
    ],
)
def test_faults_of_rpm_ostree_are_told(node: Node, transcript: RunModule, said: Any, words: str) -> None:
    node.write("run/ostree-booted", "")
    assert words in transcript([(KARGS, said)], present=["iommu=pt"])["msg"]


def test_a_grubby_of_old_says_non_linux_entry_and_quotes_nothing(transcript: RunModule) -> None:
    old = 'index=0\nkernel=/boot/vmlinuz-6\nargs="ro iommu=pt"\nroot=/dev/sda1\ntitle=Linux\nindex=1\nnon linux entry\n'
    result = transcript([(READ, old)], present=["iommu=pt"], check_mode=True)
    assert "Linux:\n  root=/dev/sda1\n  ro\n  iommu=pt\n" in result["diff"]["before"]


def test_the_locale_of_the_node_does_not_matter(fedora: Node, run: RunModule, monkeypatch: pytest.MonkeyPatch) -> None:
    (fedora.root / "bin/grubby").write_text('#!/bin/sh\n[ "$LC_ALL" = C ] || exit 9\n')
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert os.environ["LC_ALL"] != "C"
    assert "knows no boot entry" in run(present=WANTED)["msg"]
