"""What must be equal on which nodes, and how a difference is shown."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.equality import compare, report

LINKS = [
    {
        "name": "link0",
        "mtu_bytes": 9000,
        "transport": "roce",
        "ends": {"node1": {"address": "192.168.100.1/30"}, "node2": {"address": "192.168.100.2/30"}},
    }
]
ENGINES = [{"name": "qwen", "nodes": ["node1", "node2"], "runtime": "container"}]
PAUSE = {"autonegotiate": True, "rx": True, "tx": True, "negotiated_rx": True, "negotiated_tx": True}


def facts() -> dict[str, Any]:
    return {
        "kernel": "6.18.4-200.fc43.x86_64",
        "distribution": "fedora 43",
        "packages": {"linux-firmware": "20260410-1.fc43", "rdma-core": "61.0-1.fc43"},
        "kernel_arguments": {"iommu": "pt", "ttm.pages_limit": "31457280"},
        "links": {
            "link0": {
                "name": "enp194s0np0",
                "mtu_bytes": 9000,
                "pause": dict(PAUSE),
                "card": "8086:1592 8086:0002",
                "driver": "ice",
                "driver_version": "6.18.4-200.fc43.x86_64",
                "firmware": "4.80 0x8002053d 1.3805.0",
                "firmware_components": {"fw.bundle_id": "0x8002053d", "fw.app": "1.3.43.0"},
            }
        },
        "runtimes": {"tandem": "ba9876543210"},
        "images": {"qwen": "sha256:" + "7" * 64},
    }


def cluster(**changes: Callable[[dict[str, Any]], object]) -> dict[str, dict[str, Any]]:
    """Three nodes, the third without a part in anything; ``changes`` spoil one each."""
    versions = {node: facts() for node in ("node1", "node2")}
    versions["node3"] = facts() | {"kernel": "5.14", "links": {}, "runtimes": {}, "images": {}, "kernel_arguments": {}}
    for node, change in changes.items():
        change(versions[node])
    return versions


def differing(versions: dict[str, dict[str, Any]], **options: Any) -> dict[str, str]:
    return {row.name: row.level for row in compare(versions, LINKS, ENGINES, **options) if not row.equal}


def link(facts: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = facts["links"]["link0"]
    return found


MUST, SHOULD = "must be equal", "should be equal"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda _: None, {}),
        (lambda f: link(f).update(mtu_bytes=1500), {"link0 MTU": MUST}),
        (lambda f: link(f)["pause"].update(negotiated_tx=False), {"link0 pause": MUST}),
        (lambda f: f["runtimes"].update(tandem="000000000000"), {"runtime tandem": MUST}),
        (lambda f: f["runtimes"].clear(), {"runtime tandem": MUST}),
        (lambda f: f["images"].update(qwen="sha256:" + "8" * 64), {"image qwen": MUST}),
        (lambda f: f["kernel_arguments"].pop("iommu"), {"kernel argument iommu": MUST}),
        (lambda f: link(f).update(driver="i40e"), {"link0 driver": MUST}),
        (lambda f: link(f)["firmware_components"].update({"fw.app": "1.3.36.0"}), {"link0 fw.app": SHOULD}),
        (lambda f: link(f).update(firmware="4.90"), {"link0 firmware": SHOULD}),
        (lambda f: f["packages"].pop("rdma-core"), {"package rdma-core": SHOULD}),
        (lambda f: f.update(distribution="fedora 44"), {"distribution": SHOULD}),
        # The driver of the kernel goes with it.
        (lambda f: (f.update(kernel="6.19"), link(f).update(driver_version="6.19")), {"kernel": SHOULD}),
        # What a node cannot tell is no difference.
        (lambda f: f.update(packages=None), {}),
        (lambda f: f["images"].update(qwen=None), {}),
        (lambda f: link(f).update(pause=None), {}),
        # Another card has other firmware by right, but sees the same frames.
        (
            lambda f: link(f).update(card="8086:159b", firmware="1", firmware_components={}, mtu_bytes=1),
            {"link0 MTU": MUST},
        ),
    ],
)
def test_what_differs_is_found_by_its_name(change: Callable[[dict[str, Any]], object], found: dict[str, str]) -> None:
    assert differing(cluster(node2=change)) == found


def test_a_node_that_has_to_do_with_no_other_may_be_as_it_is() -> None:
    rows = compare(cluster(), LINKS, ENGINES)
    assert not [row.name for row in rows if "node3" in row.values]


def test_the_images_of_a_venv_do_not_matter() -> None:
    engines = [{"name": "qwen", "nodes": ["node1", "node2"]}]
    versions = cluster(node2=lambda f: f["images"].update(qwen="other"))
    assert not [row for row in compare(versions, LINKS, engines) if not row.equal]


def test_a_driver_from_elsewhere_is_compared_by_its_version() -> None:
    def version(number: str) -> Callable[[dict[str, Any]], object]:
        return lambda f: link(f).update(driver_version=number)

    assert differing(cluster(node1=version("1.17.4"), node2=version("1.16.3"))) == {"link0 driver version": SHOULD}


def test_flow_control_of_a_tcp_link_should_be_equal() -> None:
    links = [LINKS[0] | {"transport": "tcp"}]
    versions = cluster(node2=lambda f: link(f)["pause"].update(rx=False))
    assert [row.level for row in compare(versions, links, ENGINES) if not row.equal] == [SHOULD]


def test_strict_lets_nothing_pass() -> None:
    versions = cluster(node2=lambda f: f.update(kernel="6.19", distribution="fedora 44"))
    assert not report(versions, LINKS, ENGINES)["failed"]
    assert report(versions, LINKS, ENGINES)["warned"]
    assert report(versions, LINKS, ENGINES, strict=True)["failed"]


def test_the_table_has_a_column_for_each_node_and_no_equal_row() -> None:
    def spoil(facts: dict[str, Any]) -> None:
        link(facts)["mtu_bytes"] = 1500
        facts["kernel"] = link(facts)["driver_version"] = "6.19.2-300.fc44.x86_64"
        facts["packages"].pop("rdma-core")

    allowed = [{"name": "kernel", "nodes": ["node2"], "reason": "tries 6.19 until 1 March"}]
    told = report(cluster(node2=spoil), LINKS, ENGINES, allowed)
    assert told["failed"]
    assert told["lines"] == [
        "11 things are equal on node1, node2, 3 differ:",
        "                   node1                   node2",
        "link0 MTU          9000                    1500                    must be equal",
        "kernel             6.18.4-200.fc43.x86_64  6.19.2-300.fc44.x86_64  allowed: tries 6.19 until 1 March",
        "package rdma-core  61.0-1.fc43             none                    should be equal",
    ]


def test_a_single_node_has_nothing_to_differ_from() -> None:
    assert report({"node1": facts()}, [], [])["lines"] == ["No two nodes work together: there is nothing to compare."]


def test_nothing_differs() -> None:
    told = report(cluster(), LINKS, ENGINES)
    assert told == {
        "failed": False,
        "warned": False,
        "lines": ["14 things are equal on node1, node2, none differs."],
    }


@pytest.mark.parametrize(
    ("entry", "level"),
    [
        ({"name": "kernel"}, "allowed"),
        ({"name": "kern*"}, "allowed"),
        ({"name": "kernel", "nodes": ["node2"]}, "allowed"),
        ({"name": "kernel", "nodes": ["node1"]}, "allowed"),
        ({"name": "kernel", "nodes": ["node3"]}, SHOULD),
        ({"name": "link0 *"}, SHOULD),
    ],
)
def test_an_exception_goes_as_far_as_it_says(entry: dict[str, Any], level: str) -> None:
    versions = cluster(node2=lambda f: (f.update(kernel="6.19"), link(f).update(driver_version="6.19")))
    assert differing(versions, allowed=[entry | {"reason": "because"}]) == {"kernel": level}


def test_an_exception_for_one_node_does_not_excuse_the_others() -> None:
    versions = cluster()
    versions["node3"] = facts()
    engines = [{"name": "qwen", "nodes": ["node1", "node2", "node3"]}]
    for node, kernel in (("node1", "a"), ("node2", "b"), ("node3", "c")):
        versions[node]["kernel"] = kernel
    allowed = [{"name": "kernel", "nodes": ["node3"], "reason": "new"}]
    levels = {row.name: row.level for row in compare(versions, LINKS, engines, allowed=allowed) if not row.equal}
    assert levels["kernel"] == SHOULD


def test_an_exception_that_excuses_nothing_is_told() -> None:
    lines = report(cluster(), LINKS, ENGINES, [{"name": "kernel", "reason": "was so"}])["lines"]
    assert lines[-1] == "node_equality_allowed: nothing named 'kernel' differs; take the entry out"


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, max_size=8))
def test_equal_means_one_value_on_however_many_nodes(kernels: list[str]) -> None:
    names = [f"node{number}" for number in range(len(kernels))]
    versions = {name: copy.deepcopy(facts()) | {"kernel": kernel} for name, kernel in zip(names, kernels, strict=True)}
    rows = [row for row in compare(versions, [], [{"name": "e", "nodes": names}]) if row.name == "kernel"]
    assert [row.equal for row in rows] == [len(set(kernels)) == 1]


def test_a_long_value_is_cut() -> None:
    versions = cluster(node2=lambda f: f.update(kernel="6.19" + "x" * 80))
    kernel = next(line for line in report(versions, LINKS, ENGINES)["lines"] if line.startswith("kernel"))
    assert f"6.19{'x' * 37}...  should be equal" in kernel
