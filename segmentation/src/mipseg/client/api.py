"""The judge's calls, as the championship's protocol has them."""

import re
from dataclasses import replace
from http import HTTPMethod
from pathlib import Path
from urllib.parse import quote

from pydantic import SecretStr

from mipseg.client import answers
from mipseg.client.answers import Attempt, Kind, Verification
from mipseg.client.errors import AnswerError, RefusalError, TransportError, UsageError
from mipseg.client.settings import can_be_sent
from mipseg.client.transport import Reply, Transport
from mipseg.http.local_secret import HEADER, read_secret
from mipseg.http.problem_codes import PROBLEMS

LOCAL_TEAM = "/api/v1/local/team"
VERIFY = "/api/v1/usecases/tumor-segmentation/verify"
QUEUES = {
    Kind.VALIDATION: "/api/v1/usecases/tumor-segmentation/validate/queue",
    Kind.EVALUATION: "/api/v1/usecases/tumor-segmentation/evaluate/queue",
}
OTHER_STATUS = "/api/v1/validation"  # where other clients of the championship look

_NOT_OPEN = re.compile(r"\bnot\b.*\b(open|yet|begun|started)\b|\bopens\b|\bclosed\b", re.IGNORECASE)
# For judges that name no code of ours.
_BY_STATUS = {
    400: "bad-request",
    401: "bad-token",
    403: "bad-token",
    404: "no-judge",
    409: "attempt-under-way",
    422: "bad-request",
    429: "too-many-requests",
}


class JudgeClient:
    """What a team may ask a judge; every method raises a `ClientError` with a line for the user."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._place: str | None = None  # where the attempt was found the last time
        self._key = ""  # ends a page's address; what follows a # stays in the browser

    def join_local_team(self, folder: Path) -> str:
        """Let a judge on this machine make a local team; its token stays in memory, and in the addresses of its pages.

        Args:
            folder: the judge's, where its secret shows that this user runs it.

        Returns:
            What the judge says about it, if anything.
        """
        secret, reply = self._ask_for_local_team(folder)
        if read_secret(folder) != secret:  # the judge has just made it, on its first start
            secret, reply = self._ask_for_local_team(folder)
        if reply.status >= 500:  # a token would not help
            raise self._refusal(reply)
        if not reply.ok:
            advice = "set EVAL_API_TOKEN"
            if answers.read_code(reply.content, reply.status) == "local-secret":
                advice += f", or MIPSEG_JUDGE_DIR to the folder of the judge, which is not at {folder}"
            text = f"{self._transport.base} gives out no token for a local team ({reply.status}); {advice}"
            raise UsageError("no-token", text)
        answer = answers.parse_json(reply.content)
        token = answer.get("token")
        if not isinstance(token, str) or not token or not can_be_sent(token):
            raise AnswerError("the judge's answer has an unexpected form: `token` can't be sent")
        self._transport.token = SecretStr(token)
        self._key = f"#{quote(token, safe='')}"  # a local team's user does not know it otherwise
        message = answer.get("message")
        return self._transport.redact(message) if isinstance(message, str) else ""

    def _ask_for_local_team(self, folder: Path) -> tuple[str | None, Reply]:
        secret = read_secret(folder)
        headers = {HEADER: secret} if secret is not None and can_be_sent(secret) else None
        return secret, self._transport.call(HTTPMethod.POST, LOCAL_TEAM, headers=headers)

    def verify(self, service_url: str) -> Verification:
        """Let the judge test the connection to the endpoint."""
        reply = self._transport.call(HTTPMethod.POST, VERIFY, {"url": service_url})
        if not reply.ok:
            raise self._refusal(reply)
        return answers.read_verification(answers.parse_json(reply.content), self._transport.redact)

    def submit(self, kind: Kind, service_url: str) -> Attempt:
        """Queue an attempt; never tried twice, since there may be just one."""
        try:
            reply = self._transport.call(HTTPMethod.POST, QUEUES[kind], {"url": service_url})
        except TransportError as error:
            if error.code not in ("timeout", "broken"):
                raise
            text = f"{error}; it may have queued the {kind} all the same"
            raise TransportError(error.code, text, transient=True) from None
        if not reply.ok:
            raise self._refusal(reply, kind)
        answer = answers.parse_json(reply.content)
        attempt = answers.read_submission(answer, kind, self._transport.redact)
        path = f"/attempts/{attempt.uuid}"  # where it may be looked at; an addition of our judge
        page = f"{self._transport.base}{path}{self._key}" if answer.get("page") == path else None
        return replace(attempt, service_url=service_url, page=page)

    def cancel(self, uuid: str) -> Attempt:
        """Cancel an attempt that is queued or running.

        Raises:
            RefusalError: nobody knows it (404), or it is over (409).
        """
        for kind, place in QUEUES.items():
            reply = self._transport.call(HTTPMethod.DELETE, f"{place}/{uuid}")
            if reply.ok:
                return answers.read_attempt(answers.parse_json(reply.content), uuid, kind, self._transport.redact)
            if reply.status != 404:
                raise self._refusal(reply)
        raise self._unknown(uuid)

    def find(self, uuid: str, kinds: tuple[Kind, ...] = tuple(Kind)) -> Attempt:
        """Look an attempt up in the queues of these kinds, then where other clients look.

        Raises:
            RefusalError: with status 404, nobody knows it.
        """
        places = {QUEUES[kind]: kind for kind in kinds} | {OTHER_STATUS: kinds[0]}
        if self._place in places:
            places = {self._place: places[self._place], **places}
        for place, kind in places.items():
            reply = self._transport.call(HTTPMethod.GET, f"{place}/{uuid}")
            if reply.ok:
                self._place = place
                return answers.read_attempt(answers.parse_json(reply.content), uuid, kind, self._transport.redact)
            if reply.status != 404:
                raise self._refusal(reply)
        raise self._unknown(uuid)

    def _unknown(self, uuid: str) -> RefusalError:
        return RefusalError(
            404, "unknown-attempt", f"{self._transport.base} knows no attempt {uuid} of this team (404)"
        )

    def _refusal(self, reply: Reply, kind: Kind | None = None) -> RefusalError:
        """Turn a status into a line.

        Args:
            reply: anything but 2xx.
            kind: of the attempt that was to be queued, if one was.
        """
        status, said = reply.status, answers.read_detail(reply.content, self._transport.redact)
        code = answers.read_code(reply.content, status)
        if code is None and kind is Kind.EVALUATION and status in (403, 409):
            code = _evaluation_refusal(status, said)
        code = code or _BY_STATUS.get(status, "judge-failed" if status >= 500 else "refused")
        text = PROBLEMS[code].title.replace("this address", self._transport.base)
        transient = status == 429 or status >= 500
        if reply.retry_after:
            text += f"; try again in {reply.retry_after:.0f} s"
        elif not transient:
            text += f"; {PROBLEMS[code].advice}"
        text += f" ({status}){f': {said}' if said else ''}"
        return RefusalError(status, code, text, transient=transient, retry_after=reply.retry_after)


def _evaluation_refusal(status: int, said: str) -> str:
    # The protocol gives both refusals the same status, so only the words tell them apart.
    if _NOT_OPEN.search(said) and "already" not in said.lower():
        return "evaluation-not-open"
    return "evaluation-used" if status == 409 else "evaluation-refused"
