"""Ports for the servers that tests start."""

import random
import socket

# Below those that the system gives to connections, of which one could take the port before its server does.
FIRST, LAST = 20_000, 32_000
_random = random.SystemRandom()  # a test may have seeded the other one, and two workers would choose the same


def free_port() -> int:
    """A port that nothing listens on, at any address, and that is not given away meanwhile."""
    for _ in range(100):
        port = _random.randint(FIRST, LAST)
        try:
            with socket.create_server(("", port)):
                return port
        except OSError:
            continue
    raise OSError("no port is free")
