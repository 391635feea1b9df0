"""Self-contained pages: one file each, nothing from elsewhere, no script."""

import base64
import hashlib
from functools import cache
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image as PillowImage

from mipseg.types import BinaryMask, GreyImage

TEMPLATES = Path(__file__).with_name("templates")
MISSING = "\N{EN DASH}"
_AIR, _MARGIN = 247, 12  # what is paler is air; pixels that are left beside the body


def render(template: str, **content: Any) -> str:
    """Fill a template; every text is escaped.

    Args:
        template: its name.
        content: what it shows.
    """
    style = (TEMPLATES / "report.css").read_text("utf-8")
    # The page may run no script and load nothing; its one style is allowed by its hash.
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        _environment().get_template(template).render(style=style, policy=policy, version=version("mipseg"), **content)
    )


def data_url(image: npt.NDArray[np.uint8]) -> str:
    """An image, (H, W) or (H, W, 3) uint8, as a PNG inside of an address."""
    buffer = BytesIO()
    PillowImage.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def body_columns(mip: GreyImage, tumour: BinaryMask) -> slice:
    """The columns that the body or a mask takes, with a margin; the air beside them is not worth showing.

    Args:
        mip: (H, W) uint8, air 255.
        tumour: (H, W) bool.
    """
    columns = np.flatnonzero(((mip < _AIR) | tumour).any(axis=0))
    if not columns.size:
        return slice(0, mip.shape[1])
    return slice(max(int(columns[0]) - _MARGIN, 0), min(int(columns[-1]) + 1 + _MARGIN, mip.shape[1]))


def fixed(value: float | None, decimals: int = 2) -> str:
    """A number with so many decimals; a dash for None."""
    return MISSING if value is None else f"{value:.{decimals}f}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["fixed"] = fixed
    return environment
