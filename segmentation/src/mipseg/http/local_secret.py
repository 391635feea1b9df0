"""By what a judge on this machine knows the user who runs it: a secret in a file that nobody else can read."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

HEADER = "x-local-secret"


def read_secret(folder: Path) -> str | None:
    """The secret in the judge's folder; None if there is none, or not for this user."""
    try:
        return (folder / "local-secret").read_text("ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def make_secret(folder: Path) -> str:
    """The secret in the judge's folder, which is made on first use.

    Raises:
        OSError: the folder can't be written.
    """
    folder.mkdir(0o700, parents=True, exist_ok=True)
    file = folder / "local-secret"
    part = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    with suppress(FileExistsError):  # made by an earlier start, or by another judge just now
        part.touch(0o600)
        part.write_text(secrets.token_hex(32), "ascii")
        try:
            os.link(part, file)  # whole or not at all, and never over one that is there
        finally:
            part.unlink()
    found = read_secret(folder)
    if found is None:
        raise PermissionError(f"{file} can't be read")
    return found
