"""Names of teams: one spelling for what looks the same, and nothing that can't be seen."""

import unicodedata

from mipjudge.errors import TeamNameError

MAX_NAME = 64
# Letters and marks that draw nothing, which `str.isprintable` lets through: fillers, joiners, variation selectors.
_INVISIBLE = {
    *map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0)),
    *map(chr, range(0x180B, 0x1810)),
    *map(chr, range(0xFE00, 0xFE10)),
    *map(chr, range(0xE0100, 0xE01F0)),
}


def team_name(text: str) -> str:
    """A team's name as it is kept: Unicode's NFC, without blanks around it.

    Raises:
        TeamNameError: empty, longer than 64 characters, or with characters that can't be seen.
    """
    if len(text) > 4 * MAX_NAME:  # before any work on it
        raise TeamNameError
    name = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or _INVISIBLE & set(name):
        raise TeamNameError
    return name
