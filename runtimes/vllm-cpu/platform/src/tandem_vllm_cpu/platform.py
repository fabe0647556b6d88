"""vLLM's processor platform with what the Ray executor asks of a platform."""

from __future__ import annotations

from typing import ClassVar

from vllm.platforms.cpu import CpuPlatform


class RayCpuPlatform(CpuPlatform):
    """Processors that Ray places ranks on.

    vLLM refuses Ray on a platform without a resource to ask Ray for, and asks for it by number and as a custom
    resource: Ray forbids the custom name "CPU", and vLLM reads the placement back as an accelerator, which "CPU" is
    not. So a rank takes one *logical* "GPU": raylets here start with `--num-gpus=1`, one rank for each node.
    """

    ray_device_key = "GPU"
    # Ray would hide accelerators from a process that holds none of its "GPU"; there are none to hide.
    ray_noset_device_env_vars: ClassVar[list[str]] = ["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"]

    @classmethod
    def get_device_communicator_cls(cls) -> str:
        """Name the communicator that knows nodes apart."""
        return "tandem_vllm_cpu.communicator.NodeAwareCpuCommunicator"
