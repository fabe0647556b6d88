"""The filters as the role uses them, through Ansible's own templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from fabric_observations import ADDRESSES, SETTINGS, VALIDATOR, A, B, Observed, end

from plugins.filter.fabric import FilterModule

FILTERS: dict[str, Callable[..., Any]] = FilterModule().filters()
LINKS = [
    {
        "name": "link0",
        "mtu_bytes": 9000,
        "transport": "roce",
        "ends": {node: {"address": f"{address}/30"} for node, address in ADDRESSES.items()},
    }
]


def test_a_pair_from_its_links_to_its_verdict() -> None:
    [[pair]] = FILTERS["tandem_fabric_rounds"](LINKS, [A, B])
    assert pair == Observed().pair
    ends = {node: end(node) for node in (A, B)}
    ceiling = FILTERS["tandem_fabric_ceiling"](ends)
    assert ceiling == 63.015
    runs = FILTERS["tandem_fabric_measurements"](SETTINGS, pair["transport"], ceiling)
    assert FILTERS["tandem_fabric_time_limit"](runs) == 59.0
    assert FILTERS["tandem_fabric_gid_index"](ends[A], pair["addresses"][A]) == 1
    seen = Observed()
    found = FILTERS["tandem_fabric_verdict"](
        pair, ends, seen.pings, seen.runs, SETTINGS, None, None, "2026-11-24T10:00:00Z", 18.4
    )
    VALIDATOR.validate(found)
    assert FILTERS["tandem_fabric_summary"](found)[0].endswith("PASS")


def test_a_pinned_gid_wins_and_a_lost_device_has_none() -> None:
    gid_index = FILTERS["tandem_fabric_gid_index"]
    assert gid_index(end(A) | {"gid_index_pinned": 0}, ADDRESSES[A]) == 0
    assert gid_index(end(A) | {"device": None}, ADDRESSES[A]) is None
    # None is the link's: the role measures with what there is, and the judge tells.
    assert gid_index(end(A), "10.0.0.1") == 1


def test_errors_are_shown_alone() -> None:
    with pytest.raises(AnsibleFilterError, match="fabric_gate_run_timeout_sec has no value"):
        FILTERS["tandem_fabric_measurements"]({}, "roce")
