"""The pages for people and their files: one style, no inline code, nothing from elsewhere."""

from pathlib import Path

from fastapi import FastAPI, Response

STATIC = Path(__file__).with_name("static")
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Swagger UI sets styles of single elements; scripts come from files alone.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def add_file(app: FastAPI, path: str, file: Path) -> None:
    """Serve a page, a style, a script or an icon.

    Args:
        app: the application.
        path: where it is served.
        file: HTML, CSS, JavaScript or SVG in UTF-8; read once, now.
    """
    add_text(app, path, file.read_text("utf-8"), TYPES[file.suffix])


def add_text(app: FastAPI, path: str, text: str, media_type: str) -> None:
    """Serve a text that stays the same."""

    async def read() -> Response:
        return Response(text, media_type=media_type, headers=HEADERS)

    app.add_api_route(path, read, methods=["GET", "HEAD"], include_in_schema=False)


def add_pages(app: FastAPI) -> None:
    """Serve `/docs`, and what all pages share: `/static/mipseg.css` and the icon."""
    add_file(app, "/docs", STATIC / "docs.html")
    for name in ("mipseg.css", "icon.svg", "docs.js"):
        add_file(app, f"/static/{name}", STATIC / name)
    add_file(app, "/favicon.ico", STATIC / "icon.svg")
