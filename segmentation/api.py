"""This one task alone: `uv run python api.py` serves `predict` of example.py on http://localhost:9051."""

import argparse
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

import example
from mipseg.model.segmenter import load_segmenter
from mipseg.serving.app import create_app
from mipseg.serving.serve import serve
from mipseg.settings import Settings

PORT = 9051
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>MIPseg endpoint</title>
<body style="font: 1.1rem/1.6 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem">
<h1>Your endpoint is running</h1>
<p><code>POST /predict</code> (or <code>/tumor/predict</code>) takes <code>{"img": "&lt;base64 image&gt;"}</code>
and answers <code>{"img": "&lt;base64 mask&gt;"}</code> with <code>predict</code> of <code>example.py</code>.</p>
<p><a href="docs">API documentation</a> · <a href="api">model</a> · <a href="readyz">readiness</a></p>
<p><small>Research use only, not a medical device.</small></p></body></html>"""


def make_app() -> FastAPI:
    """The service around `example.predict`."""
    settings = Settings()
    app = create_app(example.predict, load_segmenter(settings), settings)

    @app.get("/", include_in_schema=False)
    async def index() -> HTMLResponse:
        return HTMLResponse(PAGE)

    return app


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=PORT, help="port to listen on (default: %(default)s)")
    arguments = parser.parse_args()
    serve("api:make_app", arguments.host, arguments.port, app_dir=str(Path(__file__).parent))


if __name__ == "__main__":
    main()
