"""The commands that need an extra, so that a missing one is told in one line."""

from mipseg.command import errors_in_one_line


def validate() -> int:
    """`validate`; see `mipseg.client.validate`."""
    with errors_in_one_line():
        from mipseg.client.validate import main  # noqa: PLC0415
    return main()


def check_status() -> int:
    """`check-status`; see `mipseg.client.check_status`."""
    with errors_in_one_line():
        from mipseg.client.check_status import main  # noqa: PLC0415
    return main()
