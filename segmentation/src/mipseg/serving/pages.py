"""The pages for people and their files: one style, no inline code, nothing from elsewhere."""

from pathlib import Path

from fastapi import FastAPI, Response

STATIC = Path(__file__).with_name("static")
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
DOCS_POLICY = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")  # Swagger UI styles elements


def add_file(app: FastAPI, path: str, file: Path, policy: str = POLICY) -> None:
    """Serve a page, a style, a script or a picture.

    Args:
        app: the application.
        path: where it is served.
        file: one of `TYPES`, text in UTF-8; read once, now.
        policy: its Content-Security-Policy.
    """
    add_content(app, path, file.read_bytes(), TYPES[file.suffix], policy)


def add_content(app: FastAPI, path: str, content: bytes | str, media_type: str, policy: str = POLICY) -> None:
    """Serve what stays the same."""
    headers = {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}

    async def read() -> Response:
        return Response(content, media_type=media_type, headers=headers)

    app.add_api_route(path, read, methods=["GET", "HEAD"], include_in_schema=False)


def add_pages(app: FastAPI) -> None:
    """Serve `/docs`, and what all pages share: `/static/mipseg.css` and the icon."""
    add_file(app, "/docs", STATIC / "docs.html", DOCS_POLICY)
    for name in ("mipseg.css", "icon.svg", "docs.js"):
        add_file(app, f"/static/{name}", STATIC / name)
    add_file(app, "/favicon.ico", STATIC / "icon.svg")
