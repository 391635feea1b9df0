"""One image to an endpoint of the championship, and what it answers within limits."""

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx
import numpy as np

from mipseg.constants import MAX_BODY_BYTES, REPLY_DEADLINE_S
from mipseg.endpoint.reply import judge_reply, request_body
from mipseg.errors import InputError
from mipseg.http.addresses import predict_url
from mipseg.http.bounded import read_bounded
from mipseg.http.json_body import describe_status
from mipseg.http.problem_codes import PROBLEMS
from mipseg.io.codec import decode_base64
from mipseg.io.mask_png import encode_png
from mipseg.types import BinaryMask, GreyImage

DEADLINE_S = 30.0  # so that it can be told how late an answer is


@dataclass(frozen=True, eq=False)
class Answer:
    """What an endpoint made of an image.

    Attributes:
        seconds: until the last byte.
        mask: (H, W) bool, where there is tumour; None where the judge would score 0 whatever the reference.
        problem: why there is no mask; empty where there is one.
        png: the mask's file as it came; empty where there is none.
        reached: whether anybody took the connection.
    """

    seconds: float
    mask: BinaryMask | None = None
    problem: str = ""
    png: bytes = b""
    reached: bool = True


class EndpointClient:
    """Calls one endpoint; a context manager. Redirects are not followed, and no proxy of the environment is used.

    Attributes:
        url: the endpoint, `…/predict`.
    """

    def __init__(self, url: str) -> None:
        """Check the address.

        Args:
            url: `/predict` is appended unless its path ends so.

        Raises:
            InputError: it is not a web address; the text does not repeat it.
        """
        try:
            self.url = predict_url(url)
            httpx.URL(self.url)  # has rules of its own about hosts
        except ValueError as error:
            raise InputError(f"the endpoint's address {error}") from None
        except httpx.InvalidURL:
            raise InputError("the endpoint's address is not a web address") from None
        self._client = httpx.Client(timeout=DEADLINE_S, trust_env=False, headers={"Accept-Encoding": "identity"})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def ask(self, image: GreyImage) -> Answer:
        """POST an image and read the mask as the judge does.

        Args:
            image: (H, W) uint8, air 255; sent as an RGB PNG.
        """
        body = request_body(encode_png(np.repeat(image[:, :, None], 3, axis=2)))
        started = time.perf_counter()
        try:
            content, problem, reached = self._post(body), "", True
        except httpx.HTTPError as error:
            reached = not isinstance(error, httpx.ConnectError)
            content, problem = b"", _explain(error)
        except InputError as error:
            content, problem, reached = b"", str(error), True
        seconds = time.perf_counter() - started
        if problem:
            return Answer(seconds, problem=problem, reached=reached)
        judged = judge_reply(image.shape, content)
        problem = judged.detail
        if judged.mask is not None and seconds > REPLY_DEADLINE_S:
            problem = f"the answer took {seconds:.1f} s; the judge waits {REPLY_DEADLINE_S:.0f} s"
        mask = None if judged.mask is None or problem else judged.mask[:, :, 0] != 0
        return Answer(seconds, mask, problem, _png_of(judged.img))

    def _post(self, body: bytes) -> bytes:
        end = time.monotonic() + DEADLINE_S
        headers = {"Content-Type": "application/json"}
        with self._client.stream("POST", self.url, content=body, headers=headers) as response:
            too_large = InputError(f"the answer has more than {MAX_BODY_BYTES} bytes")
            content = read_bounded(response.iter_raw(), MAX_BODY_BYTES, end, too_large)
            if not response.is_success:
                raise InputError(describe_status(response.status_code, content))
            return content


def _explain(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectError):
        return PROBLEMS["unreachable"].title
    return (
        f"no answer within {DEADLINE_S:.0f} s"
        if isinstance(error, httpx.TimeoutException)
        else PROBLEMS["cut-off"].title
    )


def _png_of(img: str) -> bytes:
    try:
        return decode_base64(img)
    except InputError:
        return b""
