"""`mipseg serve`: the unified API, where it is installed."""

import sys
from importlib.metadata import entry_points

import typer

from mipseg.cli.options import stop


def serve(context: typer.Context) -> None:
    """Serve the unified API; takes the options of its command, `api`."""
    commands = entry_points(group="console_scripts", name="api")
    found = [command for command in commands if command.module.startswith("mipserve")]
    if not found:
        stop("the package mipserve, which is the unified API, is not installed", 2)
    sys.argv = ["mipseg serve", *context.args]
    found[0].load()()
