"""The HTTP side, the same on both ports: limits, errors, queue, routes, health."""
