"""The same pages as PDF."""

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from PIL import ImageFile

from mipseg.errors import ReportError
from mipseg.io.write import write_bytes

DEBIAN = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
VARIANT = "pdf/ua-1"  # tagged, for screen readers (ISO 14289-1)


def require_pdf() -> None:
    """Check that PDFs can be written.

    Raises:
        ReportError: a package or a library of the system is missing; says which and what brings it.
    """
    strict = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        with redirect_stdout(StringIO()):  # where it would tell at length what this tells in a line
            import weasyprint  # noqa: F401, PLC0415 # an extra, and slow
    except ModuleNotFoundError as error:
        raise ReportError(f"the package {error.name} is missing: pip install 'mipseg[report]'") from error
    except OSError as error:  # it loads libraries of the system
        raise ReportError(f"the library Pango is missing: apt install {DEBIAN}") from error
    finally:  # its import makes Pillow accept cut files in the whole process
        ImageFile.LOAD_TRUNCATED_IMAGES = strict


def write_pdf(file: Path, html: str) -> None:
    """Write a page as tagged PDF, beside its place and renamed; nothing is loaded from elsewhere.

    Args:
        file: where to.
        html: from `mipseg.report.html.render`.

    Raises:
        ReportError: see `require_pdf`.
        OSError: there is no room, no right to write, ...
    """
    require_pdf()
    from weasyprint import HTML  # noqa: PLC0415
    from weasyprint.urls import URLFetcher  # noqa: PLC0415

    page = HTML(string=html, url_fetcher=URLFetcher(allowed_protocols=["data"]))
    write_bytes(file, page.write_pdf(pdf_variant=VARIANT))
