"""The page to look at images with: its files, the samples, and the words for warnings and problems."""

import json
from pathlib import Path

from fastapi import FastAPI

from mipseg.http.problem_codes import PROBLEMS
from mipseg.repair.codes import PLAIN
from mipseg.serving.pages import TYPES, add_content, add_file

STATIC = Path(__file__).with_name("static")
PAGE = STATIC / "index.html"


def add_viewer(app: FastAPI) -> None:
    """Serve the viewer at `/`, and what it needs below `/static/`."""
    add_file(app, "/", PAGE)
    for file in sorted(STATIC.rglob("*")):
        if file.suffix in TYPES and file != PAGE:
            add_file(app, f"/static/{file.relative_to(STATIC).as_posix()}", file)
    titles = {code: problem.title for code, problem in PROBLEMS.items()}
    for name, words in {"warnings": PLAIN, "problems": titles}.items():
        add_content(app, f"/static/{name}.json", json.dumps(words), "application/json")
