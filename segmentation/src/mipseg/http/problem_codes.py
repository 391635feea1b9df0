"""Every error code of the service, the judge and the client, with its HTTP status, its title and what to do about it.

One meaning per code, wherever it turns up: in an answer of the service, as the reason why an image scored 0, or in the
client's `--json`. Plain data, so that the client can use it without a web framework.
"""

from http import HTTPStatus
from typing import NamedTuple


class Problem(NamedTuple):
    """What a code means.

    Attributes:
        status: HTTP status of an answer with this code; None where it never is one.
        title: what happened, in lower case, so that it fits into a sentence.
        advice: what to do about it.
    """

    status: int | None
    title: str
    advice: str


_AGAIN = "try again in a moment"
_SEE_LOG = "look into its log"
_CHECK_URL = "check TUMOR_SEGMENTATION_SERVICE_URL"
_PNG = "send a PNG or JPEG in base64"
_RGB_MASK = "answer with a PNG of the image's size, black and white"

PROBLEMS: dict[str, Problem] = {
    # A request that can't be read or is over a limit.
    "invalid-http": Problem(400, "this is not HTTP/1.1", "check the client and what lies in between"),
    "invalid-json": Problem(400, "the body is not JSON", "send a JSON object in UTF-8"),
    "invalid-request": Problem(422, "the request does not have the right fields", "look at /docs"),
    "content-type": Problem(415, "the body has another content type", "send Content-Type: application/json"),
    "content-encoding": Problem(415, "the body is compressed", "send it without Content-Encoding"),
    "body-too-large": Problem(413, "the body is too large", "send a smaller file"),
    "body-too-slow": Problem(408, "the body came too slowly", _AGAIN),
    "invalid-upload": Problem(400, "the form can't be read", "send multipart/form-data with one file"),
    "headers-too-large": Problem(431, "the headers are too large", "send fewer or shorter headers"),
    "not-found": Problem(404, "there is nothing here", "look at /docs"),
    "method-not-allowed": Problem(405, "this address takes other methods", "look at the header Allow"),
    # An image or a mask.
    "invalid-base64": Problem(422, "the text is not base64", _PNG),
    "invalid-image": Problem(422, "the image can't be read", _PNG),
    "not-grey": Problem(422, "the image is coloured", "send a grey MIP-PET without colour map and overlays"),
    "image-too-large": Problem(422, "the image has too many pixels", "send a smaller image"),
    "invalid-prediction": Problem(500, "the prediction function returned an unusable mask", _SEE_LOG),
    "prediction-failed": Problem(500, "the prediction failed", _SEE_LOG),
    # A volume and its job.
    "invalid-volume": Problem(422, "the file can't be read", "see what it says"),
    "jobs-full": Problem(429, "too many volumes wait already", _AGAIN),
    "disk-full": Problem(507, "there is no room for this", "try again later, or delete a job"),
    "jobs-unavailable": Problem(503, "the service takes no volumes now", "check MIPSEG_JOBS_DIR"),
    "unknown-job": Problem(404, "there is no such job", "it may have expired, so send the volume again"),
    "unknown-result": Problem(404, "the job has no such file", "look at the job's files"),
    "job-not-done": Problem(409, "the job has no files", "ask for the job until it is done"),
    "job-not-correctable": Problem(409, "the job has no mask of a volume", "send a volume, with png among its formats"),
    "job-failed": Problem(None, "the job failed", _SEE_LOG),
    "job-timeout": Problem(None, "the job took too long", "send a smaller volume"),
    "job-lost": Problem(None, "the job's process died", "check the file, or send a smaller volume"),
    # The service has no answer now.
    "model-unavailable": Problem(503, "the model can't be loaded", _SEE_LOG),
    "not-ready": Problem(503, "the service is still starting", _AGAIN),
    "busy": Problem(503, "too many requests at once", _AGAIN),
    "deadline": Problem(503, "the prediction took too long", _AGAIN),
    "service-error": Problem(500, "the service failed", _SEE_LOG),
    "stuck": Problem(503, "earlier predictions do not end", "look into its log; if they never end, restart it"),
    # The judge.
    "judge-starting": Problem(503, "the judge is still starting", _AGAIN),
    "judge-unavailable": Problem(503, "the judge does not run", _SEE_LOG),
    "judge-error": Problem(500, "the judge failed", _SEE_LOG),
    "database-unavailable": Problem(503, "the judge's database is busy or away", _AGAIN),
    "bad-token": Problem(401, "the judge refuses the token", "check EVAL_API_TOKEN"),
    "too-many-requests": Problem(429, "the judge asks for fewer requests", "wait before the next one"),
    "unknown-attempt": Problem(404, "this team has no such attempt", "check the uuid and EVAL_API_TOKEN"),
    "attempt-over": Problem(409, "the attempt is over", "look at its score with `uv run check-status`"),
    "not-local": Problem(403, "this judge is for its own machine", "call it by localhost and without a proxy"),
    "local-secret": Problem(
        403, "another user runs this judge", "set EVAL_API_TOKEN, or MIPSEG_JUDGE_DIR to its folder"
    ),
    "no-figure": Problem(
        404, "there is no figure of this image", "a local judge has one of the worst images of a validation"
    ),
    "evaluation-not-open": Problem(403, "the evaluation is not open", "wait until it opens"),
    "evaluation-used": Problem(409, "the evaluation was already used", "a team has one"),
    "team-exists": Problem(409, "there is a team of this name", "choose another name"),
    "team-name": Problem(422, "this is not a name for a team", "choose 1 to 64 printable characters"),
    "url-malformed": Problem(422, "the URL can't be read", _CHECK_URL),
    "url-with-user": Problem(422, "the URL holds a user or a password", _CHECK_URL),
    "url-port": Problem(422, "the URL's port belongs to another service", "use 80, 443, or 1024 and above"),
    "unresolvable": Problem(422, "the URL's host has no address", _CHECK_URL),
    "address-refused": Problem(422, "the URL leads to an address that is not public", _CHECK_URL),
    # Why an image scored 0, or an attempt ended without a score.
    "unreachable": Problem(None, "nobody answers at the URL", "start the endpoint, and open its port"),
    "timeout": Problem(None, "no answer came in time", "make the endpoint faster"),
    "cut-off": Problem(None, "the connection ended within the answer", "look into the endpoint's log"),
    "protocol": Problem(None, "the answer is not HTTP", "look into the endpoint's log"),
    "redirect": Problem(None, "the address redirects, which is not followed", "give the final address"),
    "http-status": Problem(None, "the answer's status is not 2xx", "look into the endpoint's log"),
    "reply-encoded": Problem(None, "the answer is compressed", "answer without Content-Encoding"),
    "reply-too-large": Problem(None, "the answer is too large", _RGB_MASK),
    "not-json": Problem(None, "the answer is not JSON", 'answer with {"img": "<PNG in base64>"}'),
    "no-img": Problem(None, "the answer has no img", 'answer with {"img": "<PNG in base64>"}'),
    "invalid-mask": Problem(422, "the mask can't be used", "make it a PNG of the image's size, black and white"),
    "cancelled": Problem(None, "the attempt was cancelled", "submit again"),
    "endpoint-changed": Problem(None, "the endpoint's model changed while it was judged", "submit again"),
    "set-changed": Problem(None, "the judge's images have changed since the start", "submit again"),
    "set-unreadable": Problem(None, "the judge can't read its images", "tell the judge's operator"),
    "internal-error": Problem(None, "the judge failed", "tell the judge's operator"),
    # What only the client says.
    "bad-setting": Problem(None, "a setting can't be used", "check the environment and .env"),
    "bad-uuid": Problem(None, "this is not a UUID", "`uv run validate` prints the attempt's"),
    "no-token": Problem(None, "there is no token", "set EVAL_API_TOKEN"),
    "not-confirmed": Problem(None, "not confirmed, so nothing was submitted", "scripts give --yes"),
    "no-server": Problem(None, "no judge answers", "check EVAL_API_URL"),
    "no-judge": Problem(None, "no judge for tumor-segmentation is at this address", "check EVAL_API_URL"),
    "tls": Problem(None, "there is no secure connection", "check the certificate"),
    "broken": Problem(None, "the connection broke", _AGAIN),
    "bad-answer": Problem(None, "the judge's answer can't be understood", "check EVAL_API_URL"),
    "bad-request": Problem(None, "the judge refuses the request", _CHECK_URL),
    "attempt-under-way": Problem(None, "an attempt of this team is already under way", "wait until it has ended"),
    "evaluation-refused": Problem(
        None, "the judge refuses the evaluation", "it is not open yet, or the token is wrong"
    ),
    "judge-failed": Problem(None, "the judge has a problem of its own", _AGAIN),
    "refused": Problem(None, "the judge refuses the request", "see what it says"),
    "endpoint-unreachable": Problem(None, "the judge can't connect to the endpoint", _CHECK_URL),
    "endpoint-no-prediction": Problem(None, "the judge gets no prediction", "look into the endpoint's log"),
    "stopped": Problem(None, "stopped", "the attempt goes on"),
    "internal": Problem(None, "an error that nobody foresaw", "please report it"),
}


def status_of(code: str) -> int:
    """The HTTP status of an answer with this code.

    Raises:
        KeyError: the code is unknown, or is never an answer of its own.
    """
    status = PROBLEMS[code].status
    if status is None:
        raise KeyError(code)
    return status


def code_of(status: int) -> str:
    """The code of an error that has an HTTP status and nothing else, such as `not-found` of 404."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        return "error"
    return phrase.lower().replace(" ", "-").replace("'", "")


def title_of(code: str, status: int) -> str:
    """The title of an answer: the code's own, else the words that HTTP has for the status."""
    if code in PROBLEMS:
        title = PROBLEMS[code].title
        return title[0].upper() + title[1:]
    return HTTPStatus(status).phrase if status in {known.value for known in HTTPStatus} else "Error"
