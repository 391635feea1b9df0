"""`uv run check-status <uuid>`: where an attempt stands, and its score."""

import sys
from argparse import Namespace

from mipseg.client.follow import follow
from mipseg.client.output import Output, make_parser, run
from mipseg.client.session import need_uuid, open_judge
from mipseg.client.settings import ClientSettings


def _check(arguments: Namespace, output: Output) -> int:
    uuid = need_uuid(arguments.uuid)
    with open_judge(ClientSettings.load(arguments.port), output) as judge:
        attempt = judge.find(uuid)
        if arguments.wait:
            attempt = follow(lambda: judge.find(uuid), attempt)
        return output.attempt(attempt)


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = make_parser("check-status", "Where an attempt stands, and its score when it is done.")
    parser.add_argument("uuid", help="of the attempt, with or without dashes; `uv run validate` prints it")
    arguments = parser.parse_args(argv)
    output = Output(as_json=arguments.json)
    return run(output, lambda: _check(arguments, output))


if __name__ == "__main__":
    sys.exit(main())
