"""Ray nodes on this machine for the tests, as small as they go."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from cluster.connection import require_ray

ROOT = Path(__file__).resolve().parents[1]

SMALL = {
    "object_store_memory": 150 * 2**20,
    "include_dashboard": False,
    "include_log_monitor": False,
}


@contextmanager
def ray_nodes(*num_cpus):
    """Start a head with the first number of processors, and a node for each further one.

    Workers import the project, and the modules beside the tests, from where this file is.
    """
    require_ray()
    from ray.cluster_utils import Cluster

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    # Unix sockets lie in it, whose paths are at most 107 characters long.
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    cluster = Cluster()
    try:
        for number, count in enumerate(num_cpus):
            # The monitor is for clusters that grow; starting it takes longer than a test.
            head = {"no_monitor": True, "temp_dir": folder} if number == 0 else {}
            cluster.add_node(num_cpus=count, **SMALL, **head)
        yield cluster
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
