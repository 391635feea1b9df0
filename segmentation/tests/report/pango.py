"""PDFs need a library of the system, which a machine may lack."""

import pytest

from mipseg.errors import ReportError
from mipseg.report.pdf import require_pdf


def need_pango() -> None:
    """Skip the test, and say so, where PDFs can't be written."""
    try:
        require_pdf()
    except ReportError as error:
        pytest.skip(str(error))
