"""Ranks among processes, over titles and control groups as the lab's nodes showed them."""

from pathlib import Path

import pytest

from plugins.module_utils.ranks.processes import Process, parse_title, parse_unit, ranks, read_processes


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/tandem.slice/tandem-ray.service\n", "tandem-ray.service"),
        ("1:name=systemd:/tandem.slice/tandem-engine@smollm2.service\n0::/\n", "tandem-engine@smollm2.service"),
        ("0::/tandem.slice/tandem-engine@a-b.service/libpod-payload\n", "tandem-engine@a-b.service"),
        ("0::/system.slice/ssh.service\n", ""),
        ("", ""),
    ],
)
def test_finds_the_unit_in_both_layouts(cgroup: str, unit: str) -> None:
    assert parse_unit(cgroup) == unit


def test_reads_a_title_with_and_without_arguments() -> None:
    assert parse_title(b"VLLM::Worker_TP1\0\0\0") == "VLLM::Worker_TP1"
    assert parse_title(b"/usr/bin/sleep\0infinity\0") == "/usr/bin/sleep infinity"


def test_the_core_is_a_rank_only_where_it_has_no_workers() -> None:
    core = Process(20, "VLLM::EngineCore", "tandem-engine@one.service")
    worker = Process(10, "ray::RayWorkerProc.run", "tandem-ray.service")
    helper = Process(11, "ray::DashboardAgent", "tandem-ray.service")
    assert ranks([core, worker, helper]) == [worker]
    assert ranks([core, helper]) == [core]
    assert ranks([]) == []


def test_reads_a_process_tree_and_passes_over_the_rest(tmp_path: Path) -> None:
    for pid, cgroup, cmdline in (
        ("12", "0::/tandem.slice/tandem-ray.service\n", b"ray::RayWorkerProc.run\0"),
        ("13", "0::/init.scope\n", b"/sbin/init\0"),
        ("self", "0::/tandem.slice/tandem-ray.service\n", b"no number\0"),
    ):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cgroup").write_text(cgroup)
        (tmp_path / pid / "cmdline").write_bytes(cmdline)
    (tmp_path / "14").mkdir()  # ended between listing and reading
    assert list(read_processes(tmp_path)) == [Process(12, "ray::RayWorkerProc.run", "tandem-ray.service")]
