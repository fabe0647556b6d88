"""Messages of perftest, libibverbs and librdmacm that were not recorded: after their source and public reports."""

from __future__ import annotations

import pytest

from plugins.module_utils.rdma.perftest_failures import REMEDIES, Ended, judge
from plugins.module_utils.rdma.perftest_request import Request

CLIENT = Request("write_bw", "mlx5_0", "10.0.0.1", gid_index=9, control_port=18600)
SERVER = Request("write_bw", "mlx5_0", control_port=18600)
CONNECTED = " Connection type : RC\t\tUsing SRQ      : OFF\n"
ZERO_GID = " local address: LID 0000 QPN 0x1 PSN 0x2\n GID: " + ":".join(["00"] * 16) + "\n"
LIBRARY_WARNING = (
    "libibverbs: Warning: couldn't load driver 'libefa.so': cannot open shared object file: No such file or directory\n"
)

LIMIT_WARNING = "libibverbs: Warning: RLIMIT_MEMLOCK is 65536 bytes.\n"
NO_LIBRARY = "ib_write_bw: error while loading shared libraries: libibverbs.so.1: cannot open shared object file\n"


@pytest.mark.parametrize(
    ("stderr", "error_kind", "phase"),
    [
        ("No IB devices found\n Unable to find the Infiniband/RoCE device\n", "no_device", "start"),
        ("Failed to get IB devices list: Function not implemented\n", "no_device", "start"),
        (" Unable to find the Infiniband/RoCE device\n", "unknown_device", "start"),
        (f"{LIBRARY_WARNING}IB device mlx5_0 not found\n", "unknown_device", "start"),
        (" Port number 1 state is Initialize\n Couldn't set the link layer\n", "port_down", "start"),
        ("Link layer on port 1 is Unknown\n", "port_down", "start"),
        ("Failed to query gid to port 1, index 9\n", "gid_out_of_range", "start"),
        ("Couldn't allocate MR\nfailed to create mr\nFailed to create MR\n", "memlock", "start"),
        ("Couldn't allocate MR with error=12\n", "memlock", "start"),
        ("Couldn't allocate MR with error=1\n", "permission", "start"),
        ("Couldn't allocate MR with error=95\n", "unparsable", "start"),
        (f"{LIMIT_WARNING} Couldn't create CQ\n", "memlock", "start"),
        (f"{LIMIT_WARNING}Couldn't connect to 10.0.0.1:18600\n", "connection_refused", "connect"),
        ("mmap: Cannot allocate memory\n", "memlock", "start"),
        ("Failed to open device: Permission denied\n Couldn't get context for the device\n", "permission", "start"),
        (" Couldn't get context for the device\n", "permission", "start"),
        ("Couldn't listen to port 18600\n", "connection_refused", "start"),
        (" rdma_bind_addr failed\n Unable to perform rdma_server function\n", "connection_refused", "start"),
        ("RDMA CM event error:\nEvent: RDMA_CM_EVENT_REJECTED; error: 8.\n", "connection_refused", "connect"),
        ("RDMA CM event error:\nEvent: RDMA_CM_EVENT_UNREACHABLE; error: -110.\n", "timeout", "connect"),
        ("unexpected CM event 1\n", "timeout", "connect"),
        ("Unexpected CM event bl blka 10\n", "peer_lost", "connect"),
        ("Received 10 times ADDR_ERROR - aborting\n", "timeout", "connect"),
        ("Current implementation is not compatible with versions older than 5.70\n", "version_mismatch", "exchange"),
        ("Couldn't parse line <0000:000031>\n", "version_mismatch", "exchange"),
        (" Failed to exchange Page Size data between server and client\n", "version_mismatch", "exchange"),
        ("ib_write_bw: invalid option -- 'x'\n", "version_mismatch", "start"),
        ("Unable to create QP.\nFailed to create QP.\n Couldn't create IB resources\n", "unparsable", "start"),
        ("client write: Broken pipe\nCouldn't send local address\n", "peer_lost", "connect"),
        ("ethernet_read_keys: Couldn't read remote address\n", "peer_lost", "connect"),
        ("recv: Connection reset by peer\n", "peer_lost", "connect"),
        (NO_LIBRARY, "missing_tool", "start"),
        (" Unable to find the Infiniband/RoCE deivce\n", "unknown_device", "start"),
        (" Unable to set up my IB connection parameters\n", "gid_out_of_range", "start"),
        (" Unable to set up socket connection\n", "gid_out_of_range", "start"),
        ("Address family for hostname not supported for fe80::1:18600\n", "connection_refused", "connect"),
        ("Failed to create RDMA CM event channel.\nERRNO: No such file or directory.\n", "no_device", "start"),
        ("Failed to create RDMA CM event channel.\nERRNO: Permission denied.\n", "permission", "start"),
        (
            "Failed to bind RDMA CM address on the server.\nERRNO: Address already in use.\n",
            "connection_refused",
            "start",
        ),
        ("RDMA CM event error:\nEvent: RDMA_CM_EVENT_DEVICE_REMOVAL; error: 0.\n", "peer_lost", "connect"),
        (
            " Message size mismatch: local=64, remote=128\n Failed to negotiate parameters\n",
            "version_mismatch",
            "exchange",
        ),
        (" MTU mismatch: local=4096, remote=1024\n", "version_mismatch", "exchange"),
        (" Failed to sync between server and client between different msg sizes\n", "peer_lost", "connect"),
        ("Failed to close connection between server and client\n", "peer_lost", "connect"),
        (
            " Did not get Message for 120 Seconds, exiting..\n Total Received=7, Total Iters Required=9\n",
            "peer_lost",
            "connect",
        ),
        ("Speicherzugriffsfehler {0}\n", "unparsable", "start"),
        ("", "unparsable", "start"),
    ],
)
def test_message(stderr: str, error_kind: str, phase: str) -> None:
    failure = judge(CLIENT, Ended(1, "", stderr))
    assert (failure.error_kind, failure.phase) == (error_kind, phase)


@pytest.mark.parametrize("stderr", ["Failed to modify QP 213 to RTR\n", "Failed to modify QP to RTR\n"])
def test_a_way_that_the_device_does_not_find_is_a_wrong_gid(stderr: str) -> None:
    text = f"{stderr} Unable to Connect the HCA's through the link\n"
    assert judge(CLIENT, Ended(1, CONNECTED, text)).error_kind == "gid_mismatch"
    empty = judge(CLIENT, Ended(1, CONNECTED + ZERO_GID, text))
    assert (empty.error_kind, empty.message) == ("gid_out_of_range", "GID 9 of mlx5_0 is empty")


COMPLETION = " Completion with error at client\n Failed status 12: wr_id 0 syndrom 0x81\nscnt={}, ccnt={}\n"


@pytest.mark.parametrize(
    ("stderr", "error_kind"),
    [
        pytest.param(COMPLETION.format(1332, 1204), "peer_lost", id="messages had arrived"),
        pytest.param(COMPLETION.format(128, 0), "timeout", id="none ever arrived"),
        pytest.param(COMPLETION.format(1, 1), "timeout", id="not even the first of a latency test"),
        pytest.param(COMPLETION.format(500, 500), "peer_lost", id="latency test broken off"),
        pytest.param(
            " Failed status-transport retry counter exceeded (12): wr_id 0 syndrom 0x81\n scnt=300, ccnt=200\n",
            "peer_lost",
            id="words of 2025",
        ),
        pytest.param(
            " Failed status 12: qp_num 1131 wr_id 0 syndrom 0x81\nscnt=128, ccnt=0\n", "timeout", id="words of 25.10"
        ),
        pytest.param(" Failed status 5: wr_id 0 syndrom 0xf9\nrcnt=20\n", "peer_lost", id="flushed"),
        pytest.param("Poll send CQ error status=12 qp 3\n", "peer_lost", id="bidirectional"),
    ],
)
def test_completion_error(stderr: str, error_kind: str) -> None:
    failure = judge(CLIENT, Ended(1, CONNECTED, stderr + " Failed to complete run_iter_bw function successfully\n"))
    assert (failure.error_kind, failure.phase) == (error_kind, "exchange")


@pytest.mark.parametrize(
    ("request_", "ended", "expected"),
    [
        (CLIENT, Ended(None, "", ""), ("timeout", "connect", "TCP port 18600")),
        (SERVER, Ended(None, "* Waiting for client to connect... *\n", ""), ("timeout", "connect", "TCP port 18600")),
        (CLIENT, Ended(None, CONNECTED, ""), ("timeout", "exchange", "UDP port 4791")),
        (SERVER, Ended(124, " remote address: LID 0000 QPN 0x1\n", ""), ("timeout", "exchange", "UDP port 4791")),
        (
            CLIENT,
            Ended(124, "", "Couldn't connect to 10.0.0.1:18600\n"),
            ("connection_refused", "connect", "Start the server"),
        ),
        (CLIENT, Ended(127, "", ""), ("missing_tool", "start", "perftest")),
        (CLIENT, Ended(126, "", ""), ("permission", "start", "perftest")),
        (SERVER, Ended(-9, CONNECTED, ""), ("peer_lost", "exchange", "journalctl")),
        (SERVER, Ended(143, CONNECTED, ""), ("peer_lost", "exchange", "journalctl")),
        (CLIENT, Ended(-11, CONNECTED, ""), ("unparsable", "exchange", "by hand")),
    ],
)
def test_exit_status(request_: Request, ended: Ended, expected: tuple[str, str, str]) -> None:
    failure = judge(request_, ended)
    assert (failure.error_kind, failure.phase) == expected[:2]
    assert expected[2] in failure.remedy


def test_a_row_of_zeros_and_no_word_is_a_lost_peer() -> None:
    table = " #bytes #iterations BW peak[Gb/sec] BW average[Gb/sec] MsgRate[Mpps]\n 65536 0 0.00 0.00 0.000000\n"
    assert judge(CLIENT, Ended(1, CONNECTED + table, "")).error_kind == "peer_lost"
    assert judge(CLIENT, Ended(1, CONNECTED + table, "Unbekannter Fehler\n")).error_kind == "unparsable"


def test_a_port_that_is_taken_is_named() -> None:
    failure = judge(SERVER, Ended(1, "", "Couldn't listen to port 18600\n Unable to init the socket connection\n"))
    assert "control port 18600" in failure.remedy
    assert not failure.refused


def test_only_a_server_that_is_not_there_is_worth_another_try() -> None:
    assert judge(CLIENT, Ended(1, "", "Couldn't connect to 10.0.0.1:18600\n")).refused
    assert not judge(CLIENT, Ended(1, "", "Name or service not known for x:18600\n")).refused


def test_every_kind_has_a_remedy() -> None:
    assert len(REMEDIES) == 13
    assert all(REMEDIES.values())
