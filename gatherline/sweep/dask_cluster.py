"""The way to a Dask cluster: the address of a scheduler, the file of one, or a cluster of processes on this machine.

Everybody must run the same code: what workers have is compared before anything is sent.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatherline.request_error import RequestError
from gatherline.sweep.dask_executor import ClusterLost, DaskExecutor

if TYPE_CHECKING:
    from distributed import Client

    from gatherline.sweep.dask_worker import Work

LOCAL = "local"  # local or local:N starts N processes here
SCHEMES = ("tcp://", "tls://")


@contextmanager
def dask_executor(address: str, work: Work, *, connect_s: float = 10.0, wait_s: float = 60.0) -> Iterator[DaskExecutor]:
    """Connect to ``address`` and give an executor; at the end disconnect, and end what was started here.

    ``address``: tcp://HOST:PORT, tls://HOST:PORT, the file that ``dask scheduler --scheduler-file`` writes (.json),
    local or local:N. ``connect_s``: how long to try to reach the scheduler; ``wait_s``: how long to be without any
    worker. Raises RequestError: no such extra, no such address, nobody there, workers with other code; ClusterLost.
    """
    workers = local_workers(address)
    try:
        import distributed
    except ImportError:
        raise RequestError(
            f"--scheduler is {address}, and needs the extra distributed: pip install 'gatherline[distributed]'"
        ) from None
    _quiet()
    cluster = None
    if workers is not None:
        cluster = distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL,
            env={"DASK_LOGGING__DISTRIBUTED": "critical"},
        )  # fmt: skip
    try:
        client = _client(address, cluster, connect_s)
        try:
            _wait_for_a_worker(client, address, wait_s)
            _check_versions(client, work)
            yield DaskExecutor(address=address, client=client, work=work, wait_s=wait_s)
        finally:
            client.close(timeout=2)
    finally:
        if cluster is not None:
            cluster.close(timeout=10)


def local_workers(address: str) -> int | None:
    """Return how many processes ``local`` or ``local:N`` asks for, None for the address of a scheduler.

    Raises RequestError for what is neither.
    """
    if address == LOCAL:
        return os.cpu_count() or 1
    if address.startswith(f"{LOCAL}:"):
        count = address.removeprefix(f"{LOCAL}:")
        if not (count.isascii() and count.isdigit() and 1 <= int(count) <= 1024):
            raise RequestError(f"--scheduler is {address}, and the N of local:N must be a whole number from 1 to 1024")
        return int(count)
    if not address.startswith(SCHEMES) and not address.endswith(".json"):
        raise RequestError(
            f"--scheduler is {address!r}, and must be tcp://HOST:PORT, tls://HOST:PORT, a scheduler's file (.json), "
            "local or local:N"
        )
    return None


def _client(address: str, cluster: Any, connect_s: float) -> Client:
    from distributed import Client

    where: dict[str, Any] = {"address": address if cluster is None else cluster}
    if address.endswith(".json"):
        if not Path(address).is_file():
            raise RequestError(f"--scheduler is {address}, and there is no such file: has the scheduler started?")
        where = {"scheduler_file": address}
    try:
        return Client(**where, timeout=connect_s, set_as_default=False)
    except (OSError, ValueError) as error:
        said = " ".join(str(error).split())
        raise RequestError(f"--scheduler is {address}, and no scheduler answers there: {said}") from None


def _wait_for_a_worker(client: Client, address: str, wait_s: float) -> None:
    try:
        client.wait_for_workers(1, timeout=wait_s)
    except TimeoutError:
        raise ClusterLost(
            f"the scheduler {address} has no worker after {wait_s:g} s; start some and run again"
        ) from None


def _check_versions(client: Client, work: Work) -> None:
    """Raise RequestError unless every worker that is there has this process's code."""
    here = work.version()
    for worker, there in sorted(client.run(work.version, on_error="return").items()):
        if isinstance(there, OSError):
            continue  # it left as it was asked
        if isinstance(there, BaseException):
            raise RequestError(f"worker {worker} cannot load gatherline: {type(there).__name__}: {there}")
        if there != here:
            raise RequestError(
                f"worker {worker} has version {there} of the code, and this process has {here}: "
                "install the same on both"
            )


def _quiet() -> None:
    """Keep Dask's own log from standard error: what matters there becomes a message of ours."""
    for name in ("distributed", *logging.root.manager.loggerDict):
        if name.split(".")[0] in ("distributed", "tornado", "bokeh"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
