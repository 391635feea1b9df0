"""A Ray cluster of two nodes with one core each, on loopback, as a program: it prints its address and obeys a pipe.

`kill` on standard input kills the second node as a power cut would; `add` starts another one. It ends with its input.
"""

import os
import sys
from typing import Any


def main() -> None:
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    from ray.cluster_utils import Cluster  # noqa: PLC0415 # an extra

    node: dict[str, Any] = {"node_ip_address": "127.0.0.1", "num_cpus": 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    cluster.add_node(**node)
    print(cluster.address, flush=True)
    for line in sys.stdin:
        if line == "kill\n":
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        else:
            cluster.add_node(**node)
        print("done", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
