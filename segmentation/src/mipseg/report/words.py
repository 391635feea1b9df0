"""What reports say in words, and what they leave out: nothing in them tells who the patient is."""

import re
from collections.abc import Sequence

from mipseg.repair import PLAIN, InputWarning

LIMITS = (
    "Research use only, not a medical device; no clinical validation of any kind.",
    "Healthy tissue that is hot (brain, heart, kidneys, bladder, bowel, muscle after cold) may be marked, and cold or "
    "small tumours may be missed.",
)
IMAGE_LIMITS = ("An image shows shares of a window, not SUV: no SUVmax, metabolic volume or lesion glycolysis.",)
VOLUME_LIMITS = (
    "Lesions were found in one projection and grown back into the volume: volumes are estimates, and what lies behind "
    "something hotter is not seen.",
)
# UIDs, dates, what stands in quotes (of headers), and paths.
_IDENTITY = re.compile(
    r"\b\d+(?:\.\d+){4,}\b|\b\d{4}-\d\d-\d\d\b|(?<![\w.])/\S+"
    r"|(?<!\w)'(?:\\.|[^'\\])*'(?!\w)|(?<!\w)\"(?:\\.|[^\"\\])*\"(?!\w)"
)
_EXAMPLE = re.compile(r",? such as .*$")


def plain_warnings(warnings: Sequence[str]) -> list[str]:
    """Warnings of a record in words.

    Args:
        warnings: `code` or `code: sentence` each.
    """
    return [_plain(warning) for warning in warnings]


def _plain(warning: str) -> str:
    code, _, sentence = warning.partition(": ")
    if sentence:
        return f"{code}: {anonymous(sentence)}"
    return PLAIN[InputWarning(code)] if code in set(InputWarning) else anonymous(code)


def anonymous(text: str) -> str:
    """A sentence without UIDs, dates, paths, and names of files and series."""
    return _IDENTITY.sub("…", _EXAMPLE.sub("", text))
