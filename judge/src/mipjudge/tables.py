"""CSV files for spreadsheets, in which no text of a team becomes a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

from fastapi import Response

from mipseg.io.write import csv_cell

Cell = str | int | float | None


def csv_response(name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Response:
    """A table to download.

    Args:
        name: of the file.
        header: names of the columns.
        rows: their values; None becomes an empty cell.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(header)
    writer.writerows([csv_cell(cell) for cell in row] for row in rows)
    disposition = f'attachment; filename="{name}"'
    headers = {"Content-Disposition": disposition, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(buffer.getvalue().encode("utf-8"), media_type="text/csv; charset=utf-8", headers=headers)
