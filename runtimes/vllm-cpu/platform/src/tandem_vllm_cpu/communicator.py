"""vLLM's processor communicator, told which ranks share a machine."""

from __future__ import annotations

from vllm.distributed.device_communicators.cpu_communicator import CpuCommunicator
from vllm.distributed.parallel_state import in_the_same_node_as


class NodeAwareCpuCommunicator(CpuCommunicator):
    """Uses shared memory only between ranks of one machine, and torch.distributed otherwise.

    vLLM takes ranks for neighbours when the names of their shared memory are equal. With Ray that name is the
    rendezvous port, which is equal on every node, so a rank would open memory of another machine and fail.
    """

    def _all_group_ranks_share_shm_group_name(self) -> bool:
        same_name = super()._all_group_ranks_share_shm_group_name()
        # A collective call: every rank makes it, whatever the names say.
        same_node = all(in_the_same_node_as(self.cpu_group, source_rank=0))
        return same_name and same_node
