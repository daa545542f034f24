"""Ray nodes on this machine for the tests, as small as they go, and patient on a busy machine."""

import os
import shutil
import socket
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

from cluster.connection import require_ray

ROOT = Path(__file__).resolve().parents[1]

SMALL = {
    "object_store_memory": 150 * 2**20,
    "include_dashboard": False,
    "include_log_monitor": False,
}
# Given a port each, a node does not wait for its agents, of which Ray loses patience after 15 s.
AGENTS = (
    "metrics_agent_port",
    "metrics_export_port",
    "runtime_env_agent_port",
    "dashboard_agent_listen_port",
)
PATIENCE = 240.0  # [s]


@contextmanager
def ray_nodes(*num_cpus):
    """Start a head with the first number of processors, and a node for each further one.

    Workers import the project, and the modules beside the tests, from where this file is.
    """
    require_ray()
    from ray._private import services
    from ray.cluster_utils import Cluster

    # Unix sockets lie in it, whose paths are at most 107 characters long.
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    path = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    cluster = Cluster()
    try:
        with mock.patch.dict(os.environ, PYTHONPATH=path):
            with mock.patch.object(services, "get_node", _patient(services.get_node)):
                for number, count in enumerate(num_cpus):
                    # The monitor is for clusters that grow.
                    head = {"no_monitor": True, "temp_dir": folder} if number == 0 else {}
                    ports = dict(zip(AGENTS, _free_ports(len(AGENTS)), strict=True))
                    cluster.add_node(num_cpus=count, **SMALL, **ports, **head)
            yield cluster
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("", 0))
        return [one.getsockname()[1] for one in sockets]


def _patient(get_node):
    """Wait longer than Ray does for a node that is being started."""

    def patient(*arguments):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return get_node(*arguments)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise

    return patient
