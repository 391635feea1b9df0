"""What a request says that its body is."""

from starlette.requests import Request


def media_type(request: Request) -> str:
    """The Content-Type in lower case and without parameters; empty if there is none."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()
