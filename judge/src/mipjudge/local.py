"""A judge for the user of this machine alone: who may call it, and who gets a team from it."""

import hmac

from fastapi import Request

from mipjudge.settings import JudgeSettings
from mipseg.http.local_secret import HEADER, read_secret
from mipseg.serving.callers import is_from_here
from mipseg.serving.problems import ProblemError


def check_caller(request: Request) -> None:
    """Refuse what did not come from a program on this machine directly.

    Raises:
        ProblemError: 403, another host is asked for, or the request was forwarded.
    """
    if not is_from_here(request):
        raise ProblemError("not-local", "this judge answers programs on its own machine, and no proxies")


def check_secret(request: Request, settings: JudgeSettings) -> None:
    """Refuse a caller that is not the user who runs the judge.

    Raises:
        ProblemError: 404, the judge has no local teams; 403, another user's program, or a web page.
    """
    if not settings.is_local:
        raise ProblemError("not-found", "this judge makes no local teams; ask its operator for a token")
    given = request.headers.get(HEADER, "")
    from_page = request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    secret = read_secret(settings.dir)
    if from_page or not secret or not hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode()):
        raise ProblemError(
            "local-secret", f"the header {HEADER} must hold the text of local-secret in the judge's folder"
        )
