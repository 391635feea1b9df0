"""What an endpoint says of itself at `/api`: a stranger's text, of which what is known here is kept."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

Text = Annotated[str, Field(max_length=200)]
Fact = Text | bool | int | Annotated[float, Field(allow_inf_nan=False)] | None


class _About(BaseModel):
    service: Fact = None
    version: Fact = None
    predict: Fact | dict[Text, Fact] = None
    model: Fact | dict[Text, Fact] = None


def read_about(content: bytes | str) -> dict[str, Any] | None:
    """The known fields of an answer; None where there are none, or where one holds what can't be shown again.

    Args:
        content: JSON. Pydantic refuses text that is not Unicode, such as half of a surrogate pair.
    """
    try:
        return _About.model_validate_json(content).model_dump(exclude_unset=True) or None
    except ValidationError:
        return None
