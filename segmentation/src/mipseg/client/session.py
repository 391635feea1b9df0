"""From the settings to a judge that answers this team."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from mipseg.client.answers import parse_uuid
from mipseg.client.api import JudgeClient
from mipseg.client.errors import UsageError
from mipseg.client.output import Output
from mipseg.client.settings import ClientSettings
from mipseg.client.transport import Transport
from mipseg.http.addresses import Scope, scope_of
from mipseg.settings import JudgeFolder


def need_uuid(text: str) -> str:
    """Bring a uuid from the command line to its one form.

    Raises:
        UsageError: it is not one.
    """
    uuid = parse_uuid(text)
    if uuid is None:
        raise UsageError("bad-uuid", "this is not a UUID; `uv run validate` prints the attempt's")
    return uuid


@contextmanager
def open_judge(settings: ClientSettings, output: Output) -> Iterator[JudgeClient]:
    """Connect with the token; without one, a judge on this machine is asked for a local team.

    Raises:
        ClientError: no token, or no judge.
    """
    if settings.eval_api_token is None and not settings.judge_is_local:
        raise UsageError("no-token", f"{settings.eval_api_url} needs a token; set EVAL_API_TOKEN")
    with Transport(settings) as transport:
        judge = JudgeClient(transport)
        if settings.eval_api_token is None:
            if said := judge.join_local_team(JudgeFolder().dir):
                output.note(said)
        elif settings.eval_api_url.startswith("http:") and scope_of(settings.eval_api_url) is Scope.PUBLIC:
            output.note(f"warning: {settings.eval_api_url} gets the token unencrypted; use https:// if it can")
        yield judge


def warn_if_out_of_reach(settings: ClientSettings, output: Output) -> None:
    """Warn about an endpoint on this machine or network and a judge that is not."""
    if settings.judge_is_local:
        return
    endpoint = scope_of(settings.tumor_segmentation_service_url)
    if endpoint is Scope.PUBLIC or scope_of(settings.eval_api_url) <= endpoint:
        return
    kind = "loopback" if endpoint is Scope.LOOPBACK else "private"
    host = urlsplit(settings.tumor_segmentation_service_url).hostname
    output.note(
        f"warning: {host} is a {kind} address, which the judge at {settings.eval_api_url} can't reach; "
        "set TUMOR_SEGMENTATION_SERVICE_URL to one that it can"
    )
