"""The error tree of the judge.

MipsegError
└── JudgeError
    ├── TargetError             an endpoint's URL or address may not be called
    ├── TeamNameError           not a name for a team
    ├── TeamExistsError         the name is taken
    ├── EvaluationClosedError   the evaluation is not open
    ├── EvaluationUsedError     the team has had its one evaluation
    ├── RateLimitError          too much at once
    └── LeaseLostError          another worker has the attempt now
"""

from mipseg.errors import MipsegError


class JudgeError(MipsegError):
    """Base of every error that the judge raises on purpose.

    Attributes:
        code: short stable name, one of `mipseg.http.problem_codes`.
    """

    code = "judge-error"


class TargetError(JudgeError):
    """An endpoint's URL or address may not be called."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class TeamNameError(JudgeError):
    """Not a name for a team."""

    code = "team-name"

    def __init__(self) -> None:
        super().__init__("a team's name has 1 to 64 characters, all of which can be seen")


class TeamExistsError(JudgeError):
    """The name is taken."""

    code = "team-exists"

    def __init__(self) -> None:
        super().__init__("a team of this name exists")


class EvaluationClosedError(JudgeError):
    """The evaluation is not open.

    Attributes:
        opens_at: seconds since 1970, where there is a date.
    """

    code = "evaluation-not-open"

    def __init__(self, opens_at: float | None) -> None:
        super().__init__("the evaluation is not open")
        self.opens_at = opens_at


class EvaluationUsedError(JudgeError):
    """The team has had its one evaluation."""

    code = "evaluation-used"

    def __init__(self) -> None:
        super().__init__("a team has one evaluation attempt, and this team's is used")


class RateLimitError(JudgeError):
    """Too much at once.

    Attributes:
        retry_after_s: whole seconds until it is worth trying again.
    """

    code = "too-many-requests"

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class LeaseLostError(JudgeError):
    """Another worker has the attempt now, or the operator put it back into the queue."""
