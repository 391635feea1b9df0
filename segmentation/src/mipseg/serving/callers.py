"""Who asks: a program on this machine, or somebody else."""

import re

from fastapi import Request

from mipseg.http.addresses import is_loopback

# As it was sent: frameworks repair a malformed host, and then it may look like ours.
_HOST = re.compile(rb"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?", re.IGNORECASE)
_FORWARDED = {b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"cf-connecting-ip"}


def is_from_here(request: Request) -> bool:
    """Whether a program on this machine asks: from a loopback address, to one, and directly.

    A web page elsewhere may point a name of its own at 127.0.0.1, and a proxy or tunnel makes strangers look local. A
    service below a path (`--root-path`) is behind a proxy. One that says nothing of itself and asks for 127.0.0.1, as
    nginx does by default, can't be told from a program here: what is secret needs more than this.
    """
    if request.scope.get("root_path"):
        return False
    headers = request.scope["headers"]
    hosts = [value for name, value in headers if name == b"host"]
    forwarded = any(name in _FORWARDED or name.startswith(b"x-forwarded-") for name, _ in headers)
    caller = request.client.host if request.client else ""
    return len(hosts) == 1 and bool(_HOST.fullmatch(hosts[0])) and not forwarded and is_loopback(caller)
