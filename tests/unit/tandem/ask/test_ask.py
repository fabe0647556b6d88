"""Finding an engine and reading its stream."""

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tandem.ask.chat import answer_parts, ask
from tandem.ask.endpoint import find, find_router, ssh_command
from tandem.errors import TandemError

FACTS = {
    "engines": [{"name": "e", "served_model_name": "s", "nodes": ["node1", "node2"], "port": 8000}],
    "hosts": {
        "node1": {
            "ansible_host": "127.0.0.1", "ansible_port": 2201, "ansible_user": "root",
            "ansible_ssh_private_key_file": "/k",
            "ansible_ssh_common_args": "-o UserKnownHostsFile='/a b' -o StrictHostKeyChecking=yes",
        }
    },
}  # fmt: skip


def test_the_way_to_the_leader_is_ansibles() -> None:
    target = find(FACTS, None)
    assert (target.name, target.model, target.node, target.address, target.port) == (
        "e",
        "s",
        "node1",
        "127.0.0.1",
        8000,
    )
    assert target.ssh[-7:] == ("-i", "/k", "-p", "2201", "-l", "root", "127.0.0.1")
    assert "UserKnownHostsFile=/a b" in target.ssh
    assert not target.become


def test_a_node_without_variables_is_reached_by_its_name() -> None:
    assert ssh_command("strix1", {})[-1] == "strix1"


def test_an_unknown_engine_is_named_with_those_that_exist() -> None:
    with pytest.raises(TandemError, match="no engine 'x'; there: e"):
        find(FACTS, "x")


def event(text: str) -> bytes:
    return f'data: {{"choices": [{{"delta": {{"content": {json.dumps(text)}}}}}]}}\n'.encode()


def test_parts_come_in_order_and_other_fields_are_passed_over() -> None:
    lines = [
        b": ping\n",
        b"\n",
        b'data: {"choices": [{"delta": {"role": "assistant"}}]}\n',
        event("Par"),
        event("is\u00e9"),
        b"data: [DONE]\n",
    ]
    assert "".join(answer_parts(lines)) == "Paris\u00e9"


def test_a_stream_that_ends_early_is_an_error() -> None:
    with pytest.raises(TandemError, match="before the answer was complete"):
        list(answer_parts([event("Par")]))


def test_an_error_inside_the_stream_is_told() -> None:
    with pytest.raises(TandemError, match="broke off: EngineCore died"):
        list(answer_parts([b'data: {"error": {"message": "EngineCore died"}}\n']))


def test_a_refusal_is_told_with_the_servers_words() -> None:
    class Refuses(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(401)
            self.end_headers()
            self.wfile.write(b'{"error": "Unauthorized"}')

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=5)
        with pytest.raises(TandemError, match=r"answered 401.*Unauthorized"):
            list(ask(connection, key="k", model="s", prompt="?", max_tokens=1))
        connection.close()


ROUTED = FACTS | {
    "router": ["node2"],
    "hosts": {"node2": {"ansible_host": "b", "model_router_clients": ["my-lab"], "ansible_become": True}},
}


def test_the_router_is_found_with_the_key_of_its_first_client() -> None:
    target = find_router(ROUTED, "auto")
    assert (target.node, target.model, target.address, target.port) == ("node2", "auto", "127.0.0.1", 8801)
    assert target.key_path == "/etc/tandem/secrets/router/CLIENT_MY_LAB"
    assert target.become


def test_a_router_that_cannot_be_asked_is_told() -> None:
    with pytest.raises(TandemError, match="group 'router' has no node"):
        find_router(FACTS | {"router": []}, "auto")
    hosts = {"node2": {"model_router_tls_certificate": "/x"}}
    with pytest.raises(TandemError, match="speaks no TLS"):
        find_router(ROUTED | {"hosts": hosts}, "auto")


def test_what_the_router_tells_before_the_answer_is_heard() -> None:
    heard = []
    lines = [b': panel.member {"model": "a"}\n', b": ping\n", event("x"), b"data: [DONE]\n"]
    assert list(answer_parts(lines, lambda name, data: heard.append((name, data)))) == ["x"]
    assert heard == [("panel.member", {"model": "a"}), ("ping", {})]
