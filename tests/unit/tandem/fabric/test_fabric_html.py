"""The page of ``tandem fabric report``."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from fabric_observations import FIXTURES, SETTINGS, A, B, Observed, failed, over_tcp

from tandem.cli import main
from tandem.fabric import html
from tandem.fabric.plots import spread
from tandem.fabric.words import amount, message_size, printable, shortened

REASON = "the new riser comes in December"


def fixture(name: str) -> dict[str, Any]:
    return json.loads((FIXTURES / f"{name}.json").read_text())


def parse(page: str) -> ET.Element:
    """The page is XML too, apart from its first line: what is open is closed, what needs escaping is escaped."""
    doctype, _, rest = page.partition("\n")
    assert doctype == "<!DOCTYPE html>"
    return ET.fromstring(rest)


def rendered(*verdicts: dict[str, Any]) -> ET.Element:
    return parse(html.render(verdicts))


def texts(element: ET.Element) -> str:
    return " ".join(" ".join(element.itertext()).split())


def by_id(page: ET.Element, name: str) -> ET.Element | None:
    return page.find(f".//*[@id='{name}']")


def points(page: ET.Element, name: str) -> list[tuple[float, float]]:
    """Where the markers of a curve stand, as x and y of the plot."""
    curve = by_id(page, name)
    return [] if curve is None else [(float(mark.get("x", "")), float(mark.get("y", ""))) for mark in curve.iter("use")]


def height(page: ET.Element, name: str) -> float:
    """Where a line across the plot stands; y grows downwards."""
    line = by_id(page, name)
    assert line is not None, name
    drawn = line.find("path")
    assert drawn is not None
    _, y = re.findall(r"[ML] ([\d.]+) ([\d.]+)", drawn.get("d", ""))[0]
    return float(y)


def beside(page: ET.Element, key: str) -> dict[str, float]:
    """The words beside a plot, from top to bottom, and where they stand."""
    [plot] = [svg for svg in page.iter("svg") if any(g.get("id") == f"{key}-figure_1" for g in svg.iter("g"))]
    found = {
        texts(text): float(place[1])
        for text in plot.iter("text")
        if (place := re.fullmatch(r"translate\([\d.]+ ([\d.]+)\)", text.get("transform", "")))
    }
    return dict(sorted(found.items(), key=lambda entry: entry[1]))


def rows(page: ET.Element) -> list[list[str]]:
    return [[texts(cell) for cell in row.iter("td")] for row in page.iter("tr")]


def renamed(verdict: dict[str, Any], *names: tuple[str, str]) -> dict[str, Any]:
    text = json.dumps(verdict)
    for old, new in names:
        text = text.replace(old, json.dumps(new)[1:-1])
    return json.loads(text)


@pytest.mark.parametrize("name", ["healthy-roce", "pcie-gen3-x1", "tcp"])
def test_the_verdict_stands_on_top(name: str) -> None:
    verdict = fixture(name)
    page = rendered(verdict)
    title = page.find(".//h2")
    assert title is not None
    assert texts(title) == f"{verdict['verdict'].upper()} strix1 and strix2 link0, {verdict['transport']}"
    assert f"took {verdict['duration_s']:.1f} s of at most {verdict['time_limit_s']:g} s" in texts(page)


def test_causes_come_with_remedies() -> None:
    verdict = fixture("pcie-gen3-x1")
    found = texts(rendered(verdict))
    assert f"Cause (pcie_degraded): {verdict['cause']['message']}" in found
    assert f"What to do: {verdict['cause']['remedy']}" in found
    assert "Serving on this link is refused" in found
    assert "Cause (" not in texts(rendered(fixture("healthy-roce")))


@pytest.mark.parametrize(
    ("name", "curves"),
    [
        ("healthy-roce", {"latency-typical": 4, "latency-p99": 4, "bandwidth-average": 3, "bandwidth-peak": 3}),
        ("tcp", {"latency-typical": 3, "latency-p99": 3, "bandwidth-average": 1, "bandwidth-peak": 1}),
    ],
)
def test_there_is_one_curve_per_direction_and_one_marker_per_size(name: str, curves: dict[str, int]) -> None:
    page = rendered(fixture(name))
    for curve, count in curves.items():
        ways = [points(page, f"pair-1-{curve}-{direction}") for direction in (0, 1)]
        assert [len(way) for way in ways] == [count, count]
        assert ways[0] != ways[1], "the directions were measured differently"
        assert all(before[0] < after[0] for way in ways for before, after in pairwise(way))


def test_curves_show_what_was_measured() -> None:
    """Sizes and latencies by their logarithms, bandwidths as they are."""
    verdict = fixture("healthy-roce")
    page = rendered(verdict)
    [(x1, _), (x2, _), (x3, _), (x4, _)] = points(page, "pair-1-latency-typical-0")
    assert (x2 - x1) / (x4 - x3) == pytest.approx(5 / 3, abs=0.01)  # 2, 64 and 512, 4096
    averages = points(page, "pair-1-bandwidth-average-0")
    ceiling, least = height(page, "pair-1-bandwidth-ceiling-0"), height(page, "pair-1-bandwidth-threshold-0")
    unit = (least - ceiling) / (63.015 - 50.412)
    assert [63.015 - (y - ceiling) / unit for _, y in averages] == pytest.approx([31.26, 53.87, 54.41], abs=0.05)
    typical, p99 = points(page, "pair-1-latency-typical-0")[0][1], points(page, "pair-1-latency-p99-0")[0][1]
    decade = height(page, "pair-1-latency-threshold-typical-0") - height(page, "pair-1-latency-threshold-p99-0")
    assert (typical - p99) / decade == pytest.approx(0.2494, abs=0.005)  # log(6.63 / 4.91) / log(50 / 15)


def test_the_directions_have_colours_of_their_own_in_all_plots() -> None:
    page = rendered(fixture("healthy-roce"))
    for curve in ("latency-typical", "latency-p99", "bandwidth-average", "bandwidth-peak"):
        for direction, colour in enumerate(("var(--first)", "var(--second)")):
            line = by_id(page, f"pair-1-{curve}-{direction}")
            assert line is not None
            drawn = line.find("path")
            assert drawn is not None
            assert f"stroke: {colour}" in drawn.get("style", "")


def test_thresholds_of_latency_are_drawn_with_their_values() -> None:
    page = rendered(fixture("healthy-roce"))
    assert list(beside(page, "pair-1-latency")) == ["p99 at most", "50 usec", "typical at most", "15 usec"]
    assert height(page, "pair-1-latency-threshold-p99-0") < height(page, "pair-1-latency-threshold-typical-0")
    assert "1000 usec" in beside(rendered(fixture("tcp")), "pair-1-latency")


def test_a_threshold_of_zero_is_none() -> None:
    seen = Observed()
    seen.settings |= {"roce_latency_p99_max_usec": 0, "roce_bandwidth_min_percent": 0}
    page = rendered(seen.verdict())
    assert by_id(page, "pair-1-latency-threshold-typical-0") is not None
    assert by_id(page, "pair-1-latency-threshold-p99-0") is None
    assert by_id(page, "pair-1-bandwidth-threshold-0") is None
    [row] = [row for row in rows(page) if row[1:4] == ["latency_p99", f"{A} to {B}", "2 B"]]
    assert row[5] == "none"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "pcie-gen3-x1",
            "ceiling 63.0 Gb/s|PCIe of strix1|ceiling 7.9 Gb/s|PCIe of strix2|at least 6.3 Gb/s|with 1 MiB",
        ),
        # The same ceiling is drawn once.
        ("healthy-roce", "ceiling 63.0 Gb/s|PCIe of both nodes|at least 50.4 Gb/s|with 1 MiB"),
        ("tcp", "ceiling 50.0 Gb/s|link|at least 20.0 Gb/s|with 128 KiB"),
    ],
)
def test_ceilings_are_drawn_with_what_limits_them(name: str, words: str) -> None:
    assert list(beside(rendered(fixture(name)), "pair-1-bandwidth")) == words.split("|")


def test_the_ceiling_of_a_pair_may_come_from_both_ends() -> None:
    """One end knows its slot, the other one the rate of the link."""
    seen = Observed()
    seen.ends[A]["interface"]["speed_gbit_per_s"] = None
    seen.port(A)["rate_gbit_per_s"] = None
    seen.ends[B]["device"]["pcie"] = seen.ends[B]["interface"]["pcie"] = None
    found = list(beside(rendered(seen.verdict()), "pair-1-bandwidth"))
    assert found[:4] == ["ceiling 100.0 Gb/s", "link", "ceiling 63.0 Gb/s", "PCIe of strix1"]


def test_without_the_rate_of_the_link_there_is_no_ceiling() -> None:
    seen = Observed()
    for node in (A, B):
        seen.ends[node]["interface"]["speed_gbit_per_s"] = None
        seen.port(node)["rate_gbit_per_s"] = None
    page = rendered(seen.verdict())
    assert len(points(page, "pair-1-bandwidth-average-0")) == 3
    assert by_id(page, "pair-1-bandwidth-ceiling-0") is None
    assert "link unknown" in texts(page)


def test_the_baseline_is_drawn_unless_it_is_this_run() -> None:
    page = rendered(fixture("pcie-gen3-x1"))
    for plot in ("latency", "bandwidth"):
        for direction in (0, 1):
            assert by_id(page, f"pair-1-{plot}-baseline-{direction}") is not None
    assert "baseline of 2026-10-02T08:30:00Z" in texts(page)
    page = rendered(fixture("healthy-roce"))
    assert by_id(page, "pair-1-latency-baseline-0") is None
    assert "This run is the baseline of later ones." in texts(page)


def test_what_was_not_measured_is_said_instead_of_drawn() -> None:
    seen = Observed()
    seen.silent()
    page = rendered(seen.verdict())
    assert list(page.iter("svg")) == []
    found = texts(page)
    assert "Latency was not measured, because of the cause above. Bandwidth was not measured" in found
    assert "Cause (peer_unreachable)" in found


def test_a_direction_that_was_not_measured_is_named_at_the_plot() -> None:
    seen = Observed()
    seen.fail("write_bw", 4096, failed("timeout", "run"), clients=(B,))
    page = rendered(seen.verdict())
    assert [texts(caption) for caption in page.iter("figcaption")] == [f"{B} to {A}: not measured"]
    assert len(points(page, "pair-1-bandwidth-average-0")) == 3
    assert by_id(page, "pair-1-bandwidth-average-1") is None


def test_a_single_point_is_a_marker_inside_of_the_plot() -> None:
    page = rendered(over_tcp())
    [(x, y)] = points(page, "pair-1-bandwidth-average-0")
    axes = by_id(page, "pair-1-bandwidth-patch_2")
    assert axes is not None
    corners = [float(number) for number in re.findall(r"[\d.]+", axes[0].get("d", ""))]
    assert min(corners[::2]) < x < max(corners[::2])
    assert min(corners[1::2]) < y < max(corners[1::2])


def test_values_that_logarithms_do_not_know_are_left_to_the_table() -> None:
    verdict = fixture("healthy-roce")
    verdict["series"][0] |= {"message_size_bytes": 0}
    verdict["series"][1] |= {"latency_typical_usec": 0.0, "latency_p99_usec": None}
    page = rendered(verdict)
    assert len(points(page, "pair-1-latency-typical-0")) == 2
    assert len(points(page, "pair-1-latency-p99-0")) == 2
    assert any(row[:3] == [f"{A} to {B}", "send_lat", "0 B"] for row in rows(page))


def test_an_accepted_risk_is_in_plain_sight() -> None:
    seen = Observed()
    seen.port(B)["state"] = "DOWN"
    refused, accepted = seen.verdict(), seen.verdict(accepted={"reason": REASON})
    page = rendered(accepted, refused)
    sections = page.findall(".//section")
    assert f"Accepted risk: {REASON}" in texts(sections[0])
    assert "Serving on this link is allowed although the gate failed" in texts(sections[0])
    assert "Accepted risk" not in texts(sections[1])
    assert "2 pairs: 0 pass, 0 warn, 2 fail; serving is refused on 1; the risk is accepted on 1;" in texts(page)
    assert [row[4] for row in rows(page)[1:3]] == ["risk accepted", "refused"]


def test_several_pairs_share_a_page() -> None:
    seen = Observed()
    seen.settings["pcie_must_be_full"] = False
    seen.ends[B]["device"]["pcie"].update(width=2)
    verdicts = [
        fixture("healthy-roce"),
        seen.verdict(measured_at="2026-11-24T10:00:30Z") | {"link": "link1"},
        fixture("pcie-gen3-x1") | {"link": "link2"},
        fixture("tcp") | {"link": "lan"},
    ]
    page = rendered(*verdicts)
    assert (
        "4 pairs: 2 pass, 1 warn, 1 fail; serving is refused on 1; "
        "measured from 2026-11-24T10:00:00Z to 2026-11-24T10:00:30Z" in texts(page)
    )
    assert [texts(title).split()[0] for title in page.iter("h2")] == ["PASS", "WARN", "FAIL", "PASS"]
    overview = rows(page)[1:5]
    assert [row[:2] for row in overview] == [["PASS", "link0"], ["WARN", "link1"], ["FAIL", "link2"], ["PASS", "lan"]]
    assert "reseat the riser" in overview[2][5]
    ids = Counter(element.get("id") for element in page.iter() if element.get("id"))
    assert {name for name, count in ids.items() if count > 1} == set()
    assert len(points(page, "pair-3-latency-typical-1")) == 4


def test_each_check_and_each_measurement_is_in_a_table() -> None:
    verdict = fixture("pcie-gen3-x1")
    found = rows(rendered(verdict))
    assert len([row for row in found if len(row) == 8]) == len(verdict["checks"])
    assert ["fail", "pcie", B, "", "Gen3 x1", "Gen4 x4", "", "cause: pcie_degraded"] in found
    way = f"{A} to {B}"
    assert ["pass", "latency_p99", way, "64 B", "6.71 usec", "at most 50 usec", "", ""] in found
    assert ["pass", "bandwidth", way, "1 MiB", "7.1 Gb/s", "at least 6.302 Gb/s", "7.877 Gb/s", ""] in found
    assert ["pass", "regression", way, "2 B", "4.91 usec", "at most 6.383 usec", "", "baseline 4.91 usec"] in found
    assert ["pass", "mtu_end_to_end", way, "9000 B", "0 % lost", "0 % lost", "", ""] in found
    assert [way, "send_lat", "2 B", "1000", "4.57", "20.62", "4.91", "5.01", "0.29", "6.63", "10.31"] in found
    assert [way, "write_bw", "1 MiB", "1502", "7.17", "7.1", "0.0008"] in found
    assert len([row for row in found if row and row[0] == way]) == 7


def test_the_page_says_what_was_measured_over_tcp_and_over_rdma() -> None:
    tcp = texts(rendered(fixture("tcp")))
    assert "no RDMA: latency is half of a ping round trip, bandwidth one TCP stream by iperf3" in tcp
    roce = texts(rendered(fixture("healthy-roce")))
    assert "perftest: latency by send_lat, half of a round trip; bandwidth by write_bw" in roce
    assert "iperf3" not in roce


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=y>',
        "a & b &lt; c",
        "$\\frac{1}{2}$",
        "_node",
        "{{ 7 * 7 }}{% raw %}",
        'x id="y" href="#z" url(#w) #010101',
        "ノード",
        "bell\x07 nul\x00 half \ud800",
    ],
)
def test_hostile_names_are_only_text(name: str) -> None:
    verdict = renamed(fixture("pcie-gen3-x1"), ("strix1", name), ("link0", name + "!"))
    verdict["accepted_risk"], verdict["serving_allowed"] = {"reason": name}, True
    text = html.render([verdict])
    text.encode()
    page = parse(text)
    honest = rendered(fixture("pcie-gen3-x1") | {"accepted_risk": {"reason": "x"}, "serving_allowed": True})
    assert Counter(element.tag for element in page.iter()) == Counter(element.tag for element in honest.iter())
    assert {a for e in page.iter() for a in e.attrib} == {a for e in honest.iter() for a in e.attrib}
    shown = printable(name)
    found = texts(page)
    for words in (f"{shown} and {B} {shown}!, roce", f"{B} to {shown}", f"Accepted risk: {shown}"):
        assert " ".join(words.split()) in found
    assert f"PCIe of {shortened(shown, 13)}" in beside(page, "pair-1-bandwidth")


def test_hostile_messages_are_only_text() -> None:
    verdict = renamed(fixture("pcie-gen3-x1"), ("reseat the riser", "<b onclick='x'>&amp;"))
    verdict["checks"][0]["note"] = verdict["checks"][0]["measured"] = "</table><i>"
    page = rendered(verdict)
    assert page.find(".//b") is None
    assert page.find(".//i") is None
    assert "<b onclick='x'>&amp;" in texts(page)


def test_the_same_verdicts_are_the_same_bytes(tmp_path: Path) -> None:
    """In other processes, with another hash seed and another matplotlibrc, too."""
    page = html.render([fixture("pcie-gen3-x1"), fixture("tcp")])
    (tmp_path / "matplotlibrc").write_text("axes.linewidth: 5\nxtick.direction: in\nsvg.fonttype: path\n")
    program = (
        "import json, sys; from tandem.fabric import html;"
        "sys.stdout.buffer.write(html.render([json.load(open(path)) for path in sys.argv[1:]]).encode())"
    )
    paths = [str(FIXTURES / name) for name in ("pcie-gen3-x1.json", "tcp.json")]
    env = {"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path), "MPLCONFIGDIR": str(tmp_path)}
    other = subprocess.run([sys.executable, "-c", program, *paths], env=env, check=True, capture_output=True)
    assert other.stdout.decode() == page
    assert html.render([fixture("pcie-gen3-x1"), fixture("tcp")]) == page


def test_the_page_needs_nothing_but_itself() -> None:
    text = html.render([fixture("healthy-roce"), fixture("pcie-gen3-x1"), fixture("tcp")])
    assert not re.search(r"https?:|//|@import|@font-face|<script|<link|<iframe|<object|\bsrc=|\bon\w+=", text)
    page = parse(text)
    ids = {element.get("id") for element in page.iter()}
    references = [e.get("href") for e in page.iter() if e.get("href")] + re.findall(r"url\((.*?)\)", text)
    assert len(references) > 50
    assert {reference[1:] for reference in references if reference} <= ids
    # A style in a plot holds for the whole page.
    assert len(list(page.iter("style"))) == 1


def test_plots_follow_the_light_and_dark_mode_of_the_page() -> None:
    page = rendered(fixture("pcie-gen3-x1"))
    [sheet] = page.iter("style")
    assert "prefers-color-scheme: dark" in texts(sheet)
    assert "@media print" in texts(sheet)
    for figure in page.iter("figure"):
        styles = " ".join(element.get("style", "") for element in figure.iter())
        assert not re.search(r"#[0-9a-f]{3,6}", styles)
        variables = set(re.findall(r"var\((--\w+)\)", styles))
        assert {"--first", "--second", "--ink", "--limit"} <= variables
        for variable in variables:
            # Light, dark and printed.
            assert texts(sheet).count(f"{variable}: #") == 3


def test_words_beside_the_plot_keep_off_each_other() -> None:
    assert spread([0.3, 0.9], 0.1) == [0.3, 0.9]
    assert spread([0.52, 0.5], 0.1) == pytest.approx([0.6, 0.5])
    assert spread([0.99, 0.97, 0.2], 0.1) == pytest.approx([1, 0.9, 0.2])
    assert spread([], 0.1) == []


def test_ceilings_that_are_close_have_words_that_are_apart() -> None:
    seen = Observed()
    for key in ("interface", "device"):
        seen.ends[B][key]["pcie"] = {**seen.ends[B][key]["pcie"], "ceiling_gbit_per_s": 62.5}
    page = rendered(seen.verdict())
    found = beside(page, "pair-1-bandwidth")
    assert [words for words in found if words.startswith("ceiling")] == ["ceiling 63.0 Gb/s", "ceiling 62.5 Gb/s"]
    assert all(after - before > 9 for before, after in pairwise(found.values()))


def test_many_sizes_have_names_that_do_not_touch() -> None:
    seen = Observed()
    verdict = seen.verdict()
    template = verdict["series"][0]
    verdict["series"] = [
        template | {"message_size_bytes": size} for size in (*range(1, 40), *SETTINGS["latency_sizes_bytes"])
    ]
    page = rendered(verdict)
    axis = by_id(page, "pair-1-latency-matplotlib.axis_1")
    assert axis is not None
    marks = [(float(t.get("x", "")), texts(t)) for t in axis.iter("text") if re.fullmatch(r"\d+ \w+", texts(t))]
    marks.sort()
    assert marks[-1][1] == "4 KiB", "the largest has its name"
    assert 3 <= len(marks) <= 8
    assert all(after - before > 30 for (before, _), (after, _) in pairwise(marks))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, ""),
        (True, "yes"),
        (False, "no"),
        (7, "7"),
        (1048576, "1048576"),
        (0.0, "0"),
        (54.41, "54.41"),
        ("up", "up"),
    ],
)
def test_amounts(value: Any, words: str) -> None:
    assert amount(value) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (2, "2 B"),
        (1000, "1000 B"),
        (1536, "1536 B"),
        (4096, "4 KiB"),
        (1 << 20, "1 MiB"),
        (2 << 30, "2 GiB"),
    ],
)
def test_message_sizes(size: int, words: str) -> None:
    assert message_size(size) == words


def test_long_names_are_shortened_in_the_middle() -> None:
    assert shortened("strix1", 13) == "strix1"
    assert shortened("strix-desktop-number-17", 13) == "strix-…ber-17"


def test_the_command_writes_the_page_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "fabric"
    results.mkdir()
    verdict = fixture("pcie-gen3-x1")
    (results / f"{verdict['id']}.json").write_text(json.dumps(verdict))
    output = tmp_path / "page.html"
    assert main(["fabric", "report", "--results", str(results), "--output", str(output)]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    assert output.read_text(encoding="utf-8") == html.render([verdict])
    assert main(["fabric", "report", "--results", str(results)]) == 0
    assert (tmp_path / "fabric.html").read_bytes() == output.read_bytes()


def test_a_page_that_cannot_be_written_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.json").write_text(json.dumps(fixture("tcp")))
    output = tmp_path / "missing" / "page.html"
    assert main(["fabric", "report", "--results", str(tmp_path), "--output", str(output)]) == 2
    assert f"{output} cannot be written" in capsys.readouterr().err


def test_only_the_report_needs_matplotlib(tmp_path: Path) -> None:
    """Nodes have the standard library alone."""
    (tmp_path / "x.json").write_text(json.dumps(fixture("tcp")))
    program = (
        "import sys; from tandem.cli import main; import tandem.fabric.judge;"
        "main(['fabric', 'show', '--results', sys.argv[1]]);"
        "found = {'matplotlib', 'jinja2', 'numpy'} & set(sys.modules); sys.exit(str(found) if found else 0)"
    )
    env = {"PYTHONPATH": ":".join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], env=env, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
