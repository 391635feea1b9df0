"""What can go wrong between a team and the judge.

ClientError
├── UsageError      a setting or an argument can't be used
├── TransportError  the judge can't be reached, or not safely
├── RefusalError    the judge says no
├── AnswerError     the judge's answer can't be understood
└── StoppedError    the user pressed Ctrl-C
"""

from mipseg.errors import MipsegError


class ClientError(MipsegError):
    """Base of the client's errors; its text is one line for the user and never holds the token.

    Attributes:
        code: short name for scripts.
        exit_code: what the command ends with.
        hint: what the command to go on with is good for.
        transient: whether the same call may well succeed a moment later.
        retry_after: seconds that the judge asks to wait, if it does.
        uuid: the attempt that it is about, if there is one.
    """

    exit_code = 2
    hint = "to look again"

    def __init__(self, code: str, text: str, *, transient: bool = False, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.transient = transient
        self.retry_after = retry_after
        self.uuid: str | None = None


class UsageError(ClientError):
    """A setting or an argument can't be used."""


class TransportError(ClientError):
    """The judge can't be reached, or not safely."""


class RefusalError(ClientError):
    """The judge says no.

    Attributes:
        status: the HTTP status it says so with.
    """

    def __init__(
        self, status: int, code: str, text: str, *, transient: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(code, text, transient=transient, retry_after=retry_after)
        self.status = status


class AnswerError(ClientError):
    """The judge's answer can't be understood; a page of some proxy in between may be gone the next time."""

    def __init__(self, text: str) -> None:
        super().__init__("bad-answer", text, transient=True)


class StoppedError(ClientError):
    """The user pressed Ctrl-C."""

    exit_code = 130  # the shells' number for it
    hint = "the attempt goes on, follow it with"

    def __init__(self) -> None:
        super().__init__("stopped", "stopped")
