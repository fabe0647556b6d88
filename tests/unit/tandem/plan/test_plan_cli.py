"""``tandem plan`` as it is typed."""

import json
import subprocess
import sys
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from plan_models import LLAMA_70B, PAIR
from test_plan_article import plan
from test_plan_document import SCHEMA

from tandem import cli
from tandem.plan import latencies
from tandem.plan.config import Config
from tandem.plan.request import Link, Wishes

HARDWARE = [
    *("--nodes", "2", "--gpus-per-node", "1", "--gpu-memory-gib", "108", "--memory-bandwidth-gb-per-s", "215"),
    *("--link-gbit-per-s", "54", "--link-latency-usec", "5", "--max-model-len", "32768", "--max-num-seqs", "16"),
]


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA_70B))
    return str(path)


def test_json(model, capsys):
    assert cli.main(["plan", "--config", model, *HARDWARE, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, SCHEMA)
    assert document["fits"]
    assert document["flags"]["max_num_seqs"] == 16


def test_table(model, capsys):
    assert cli.main(["plan", "--config", model, *HARDWARE]) == 0
    out = capsys.readouterr().out
    assert "LlamaForCausalLM, 70.55 billion parameters" in out
    assert "kv_cache_memory_bytes" in out


def test_status_of_what_does_not_fit(model, capsys):
    small = [*HARDWARE, "--gpu-memory-gib", "20"]
    assert cli.main(["plan", "--config", model, *small]) == 0
    assert "DOES NOT FIT" in capsys.readouterr().out
    assert cli.main(["plan", "--config", model, *small, "--check"]) == 1


@pytest.mark.parametrize(
    "given",
    [
        ["--gpu-memory-gib", "-1"],
        ["--gpu-memory-gib", "nan"],
        ["--gpu-memory-gib", "inf"],
        ["--memory-bandwidth-gb-per-s", "0"],
        ["--link-latency-usec", "-5"],
        ["--link-gbit-per-s", "0"],
        ["--nodes", "0"],
        ["--nodes", "-2"],
        ["--gpus-per-node", "0"],
        ["--max-model-len", "-1"],
        ["--max-num-seqs", "0"],
        ["--tensor-parallel-size", "3"],
        ["--gpu-tflops", "-1"],
        ["--gpu-memory-utilization", "2"],
        ["--kv-cache-memory-bytes", "-4"],
        ["--dtype", "int3"],
        ["--weights", "/nonexistent/index.json"],
        ["--config", "/nonexistent/config.json"],
    ],
    ids=" ".join,
)
def test_nonsense_is_one_line_and_status_2(model, capsys, given):
    assert cli.main(["plan", "--config", model, *HARDWARE, *given]) == 2
    err = capsys.readouterr().err
    assert err.startswith("tandem: error: ")
    assert err.count("\n") == 1
    assert given[0] in err


def test_half_a_link(model, capsys):
    given = ["--gpu-memory-gib", "108", "--memory-bandwidth-gb-per-s", "215", "--link-gbit-per-s", "54"]
    assert cli.main(["plan", "--config", model, *given]) == 2
    assert "give both" in capsys.readouterr().err


def test_nothing_heavy_is_imported(model):
    script = (
        "import sys\nfrom tandem import cli\n"
        f"cli.main(['plan', '--config', {model!r}, *{HARDWARE!r}, '--json'])\n"
        "heavy = {'torch', 'vllm', 'ansible', 'numpy', 'transformers', 'yaml', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert ran.stderr.strip() == "[]"


def test_a_picture_has_units_ways_and_a_mark_for_the_link(model, tmp_path, capsys):
    path = tmp_path / "plan.svg"
    assert cli.main(["plan", "--config", model, *HARDWARE, "--picture", str(path)]) == 0
    assert "LlamaForCausalLM" in capsys.readouterr().out
    words = {node.text for node in ET.parse(path).iter() if node.tag.endswith("}text")}
    assert words >= {
        *(
            "LlamaForCausalLM: fits",
            "weights",
            "KV cache",
            "activations",
            "communication",
            "reserve",
            "memory, 108 GiB",
        ),
        *("rank", "GiB", "tokens/s", "latency of the link, one way (usec)", "this link: 5 usec"),
        *("TP 2 x PP 1", "TP 1 x PP 2"),
    }
    first = path.read_bytes()
    cli.main(["plan", "--config", model, *HARDWARE, "--picture", str(path)])
    assert path.read_bytes() == first, "the same plan is the same file"


@pytest.mark.parametrize("given", [["--nodes", "1"], ["--link-latency-usec", "0"], ["--gpu-memory-gib", "20"]])
def test_a_picture_of_one_node_an_ideal_link_and_what_does_not_fit(model, tmp_path, given):
    path = tmp_path / "plan.png"
    assert cli.main(["plan", "--config", model, *HARDWARE, *given, "--picture", str(path)]) == 0
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "said"), [("plan.gif", "must end in .svg or .png"), ("no/plan.svg", "cannot be written")]
)
def test_a_picture_that_cannot_be_made(model, tmp_path, capsys, name, said):
    assert cli.main(["plan", "--config", model, *HARDWARE, "--picture", str(tmp_path / name)]) == 2
    assert said in capsys.readouterr().err


def test_curves_meet_the_plan_at_the_latency_of_the_link():
    wishes, link = Wishes(max_model_len=32768), Link(54e9 / 8, 40e-6)
    document = plan(LLAMA_70B, PAIR, link)
    tensor, pipeline = latencies.curves(Config(LLAMA_70B, "c"), PAIR, link, wishes, best=(2, 1))
    assert (tensor.tensor, tensor.pipeline) == (2, 1)
    assert dict(tensor.points)[40e-6] == document["decode_ceiling_tokens_per_s"]
    speeds = [speed for _, speed in tensor.points]
    assert speeds == sorted(speeds, reverse=True)
    assert speeds[-1] < speeds[0] * 0.7
    assert pipeline.points[-1][1] > pipeline.points[0][1] * 0.99
