"""Settings of the client, under the names that teams' `.env` files already use."""

from typing import Self
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import SettingsConfigDict

from mipseg.client.errors import UsageError
from mipseg.constants import PORT
from mipseg.http.addresses import Scope, predict_url, scope_of_literal, split_url
from mipseg.settings import ProjectSettings, describe


def can_be_sent(token: str) -> bool:
    """Whether a text can be a header's value; where not, the HTTP library's error would show it."""
    return token.isascii() and token.isprintable() and " " not in token


def _judge_url(text: str) -> str:
    parts = split_url(text.strip())
    for part, sign in ((parts.fragment, "#fragment"), (parts.query, "?query")):
        if part:
            raise ValueError(f"must not hold a {sign}")
    return parts._replace(path=parts.path.rstrip("/")).geturl()


class ClientSettings(ProjectSettings):
    """Where the judge and the team's endpoint are; with nothing set, both are on this machine.

    Attributes:
        eval_api_url: the judge's address.
        eval_api_token: the team's token; a judge on this machine gives one to a local team.
        tumor_segmentation_service_url: the team's endpoint; `/predict` is appended unless its path ends so.
    """

    model_config = SettingsConfigDict(hide_input_in_errors=True)

    eval_api_url: str = f"http://localhost:{PORT}"
    eval_api_token: SecretStr | None = None
    tumor_segmentation_service_url: str = f"http://localhost:{PORT}/predict"

    @field_validator("eval_api_url", "tumor_segmentation_service_url")
    @classmethod
    def _check_address(cls, value: str, info: ValidationInfo) -> str:
        try:
            url = _judge_url(value) if info.field_name == "eval_api_url" else predict_url(value)
            httpx.URL(url)  # has rules of its own about hosts
        except (ValueError, httpx.InvalidURL) as error:
            text = "is not a web address" if isinstance(error, httpx.InvalidURL) else str(error)
            raise PydanticCustomError("address", "{text}", {"text": text}) from None
        return url

    @field_validator("eval_api_token")
    @classmethod
    def _check_token(cls, value: SecretStr | None) -> SecretStr | None:
        token = value.get_secret_value().strip() if value else ""
        if not can_be_sent(token):
            raise PydanticCustomError("token", "has characters that can't be sent; copy it again")
        return SecretStr(token) if token else None

    @property
    def judge_is_local(self) -> bool:
        """Whether the judge is on this machine."""
        return scope_of_literal(urlsplit(self.eval_api_url).hostname or "") is Scope.LOOPBACK

    @classmethod
    def load(cls, port: int = PORT) -> Self:
        """Read the environment and `.env`.

        Args:
            port: of the service and the judge on this machine, for the addresses that are not set.

        Raises:
            UsageError: a setting can't be used; the text names it but not its value.
        """
        try:
            settings = cls()
        except ValidationError as error:
            raise UsageError("bad-setting", describe(error, secret=True)) from None
        except (OSError, ValueError):
            raise UsageError("bad-setting", ".env can't be read; it must be a text file in UTF-8") from None
        here = {
            name: field.default.replace(str(PORT), str(port))
            for name, field in cls.model_fields.items()
            if isinstance(field.default, str) and name not in settings.model_fields_set
        }
        return settings.model_copy(update=here)
