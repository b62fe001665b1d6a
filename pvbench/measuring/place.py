"""Where videos are measured: processes on this machine, or what Ray places on a cluster."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property

from pvbench.executors.executor import Executor
from pvbench.executors.local import LocalExecutor
from pvbench.executors.ray_executor import RayCluster, RayExecutor, refuse_address
from pvbench.machine.devices import default_workers, memory_of, on_device_of_its_own, resolve_device
from pvbench.measuring.jobs import MeasureSetup, start
from pvbench.measuring.request import MeasureRequest


class Place:
    """The device and the workers of a request. A context manager: leaving it ends the connection to a cluster.

    Nothing is looked up or connected before it is asked for, since a request with nothing left to compute needs none.

    Raises:
        SettingError: an address, and no cluster.
    """

    def __init__(self, order: MeasureRequest) -> None:
        refuse_address(order.executor, order.address)
        self._order, self._held = order, ExitStack()

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *exception: object) -> None:
        self._held.close()

    @cached_property
    def _cluster(self) -> RayCluster | None:
        if self._order.executor == "local":
            return None
        return self._held.enter_context(RayCluster.connected(self._order.address, self._order.workers))

    @cached_property
    def device(self) -> str:
        """Such as `cpu`, `cuda` or, on this machine alone, `cuda:1`.

        Raises:
            DeviceError: an unknown device, or one that is absent; or there is no such cluster.
            ExtraError: Ray, or on this machine torch, is not installed.
        """
        asked, cluster = self._order.device, self._cluster
        return resolve_device(asked) if cluster is None else cluster.device(asked)

    @cached_property
    def workers(self) -> int:
        """As many as were asked for; else one for each CPU, on CUDA one for each GPU.

        Raises:
            DeviceError: as `device`.
            ExtraError: as `device`.
        """
        if self._order.workers:
            return self._order.workers
        return default_workers(self.device) if self._cluster is None else self._cluster.workers(self.device)

    def memory(self, workers: int) -> int | None:
        """Bytes that each of so many workers has on this machine; None on a cluster, whose nodes may differ.

        Raises:
            DeviceError: as `device`.
            ExtraError: as `device`.
        """
        device = self.device
        return memory_of(device) // workers if self._cluster is None else None

    def pool(self, setup: MeasureSetup, workers: int) -> Executor:
        """So many workers, all of one kind, so that no number depends on which of them made it.

        Raises:
            DeviceError: the cluster is smaller than that.
        """
        if self._cluster is None:
            return LocalExecutor(start, setup, workers, on_device_of_its_own)
        return RayExecutor(start, setup, workers, shared=setup.log.parent)
