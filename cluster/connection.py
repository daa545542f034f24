"""A connection to Ray: to a cluster that runs already, or to a local one that starts and stops."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""Environment of the workers: small networks lose to thread hand-over, and one thread gives the
same sums everywhere."""

RETRIES = 3
"""How often work is tried again whose process or machine died. What raises an error is not."""

_PATIENCE = 5.0  # [s] that a cluster has to answer in

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent anywhere
    # Ray 2 warns on every start that Ray 3 will leave the variable of hidden GPUs alone.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class ClusterError(Exception):
    """Ray is absent or cannot be reached; the message says what to do."""


def require_ray() -> None:
    """Make sure that Ray can be imported.

    Raises:
        ClusterError: if it is not installed.
    """
    for name, value in _QUIET.items():  # read when Ray is imported
        os.environ.setdefault(name, value)
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise ClusterError(
            f'Ray cannot be imported ({error}): pip install "musicrec[ray]"'
        ) from error


@contextmanager
def connected(
    address: str | None = None, num_cpus: int | None = None, **init: Any
) -> Iterator[None]:
    """Be connected to Ray inside the ``with`` block; `ray`'s functions work there.

    A connection that stands already is used as it is and left standing.

    Args:
        address: of a running cluster that this machine is part of: ``auto``, or the head's
            ``HOST:6379``. If None, a local Ray starts, and stops at the end.
        num_cpus: processors of that local Ray; those of the machine if not given.
        init: further arguments of ``ray.init``.

    Raises:
        ClusterError: if Ray is not installed, there is no cluster at the address, or no local Ray
            starts.
    """
    require_ray()
    import ray

    if ray.is_initialized():
        yield
        return
    if address is None:
        where: dict[str, Any] = {
            "address": "local",  # else Ray joins whatever cluster it finds on this machine
            "num_cpus": num_cpus,
            "include_dashboard": False,
        }
    elif num_cpus is not None:
        raise ValueError(
            f"a running cluster has its processors: num_cpus={num_cpus} is for a local Ray, and "
            f"the address is {address!r}"
        )
    else:
        _require_answer(address)
        where = {"address": address}
    try:
        ray.init(
            **where,
            runtime_env={"env_vars": THREADS},
            logging_level="warning",
            log_to_driver=False,
            **init,
        )
    except Exception as error:  # Ray raises a bare one where it does not start
        raise ClusterError(_advice(address, error)) from error
    try:
        yield
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Make sure that something listens where a cluster is said to be: Ray asks for minutes."""
    named = os.environ.get("RAY_ADDRESS", address) if address == "auto" else address
    host, _, port = named.removeprefix("ray://").rpartition(":")
    if not port.isdecimal():
        return  # auto, or what Ray itself refuses
    try:
        # In brackets where it is of IPv6.
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()
    except (OSError, OverflowError) as error:  # the latter of a port that is none
        raise ClusterError(_advice(address, error)) from error


def _advice(address: str | None, error: Exception) -> str:
    if address is None:
        return (
            f"no local Ray starts ({error}): its logs are in /tmp/ray/session_latest/logs; where "
            "the machine is merely busy, try again, or start one with `ray start --head` and give "
            "the address auto"
        )
    return (
        f"no connection to a Ray cluster at {address!r} ({error}): start one with `ray start "
        "--head` or `ray up cluster/cluster.yaml`, or leave the address out for a local Ray"
    )
