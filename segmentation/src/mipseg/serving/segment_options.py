"""What a client of `/v1/segment` may choose: the options of the command, by the same names."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from mipseg.engines.plan import DEFAULT_FORMATS, Format, Options
from mipseg.growing import DEFAULT_RULE, Rule
from mipseg.projection import MIN_WINDOW
from mipseg.serving.problems import ProblemError, repeatable
from mipseg.serving.routes import Millimetres
from mipseg.suv.factor import MIN_DOSE_BQ, MIN_WEIGHT_KG

OF_IMAGES = {"pixel_spacing"}


def _split(text: object) -> object:
    return [part.strip() for part in text.split(",") if part.strip()] if isinstance(text, str) else text


CommaSeparated = BeforeValidator(_split, json_schema_input_type=str)


class SegmentOptions(BaseModel):
    """Options of an upload, each a field of the form or of the query."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    pixel_spacing: Annotated[tuple[Millimetres, Millimetres] | None, CommaSeparated] = Field(
        None, description="of an image: mm between rows and between columns, such as `2,2`"
    )
    formats: Annotated[tuple[Format, ...], CommaSeparated] = Field(
        DEFAULT_FORMATS,
        description="of a volume: files to write, of `png,nifti,seg,sr,suv`",
        json_schema_extra={"default": ",".join(DEFAULT_FORMATS)},
    )
    window: float | None = Field(
        None, ge=MIN_WINDOW, description="of a volume: value shown as the hottest; default: SUV 6"
    )
    grow: Rule = Field(DEFAULT_RULE, description="of a volume: how lesions grow to 3-D")
    series: str | None = Field(None, pattern=r"^[0-9.]{1,64}$", description="UID of the DICOM series, if several")
    unit: Literal["suv", "bqml"] | None = Field(None, description="of NIfTI, MHA and NRRD, which do not say it")
    weight: float | None = Field(None, ge=MIN_WEIGHT_KG, description="body weight in kg, for SUV")
    dose: float | None = Field(None, ge=MIN_DOSE_BQ, description="injected activity in Bq, for SUV")

    def check_fits(self, *, is_image: bool) -> None:
        """Refuse options that mean nothing for what came.

        Raises:
            ProblemError: one of the other kind is set.
        """
        unfit = sorted(name for name in self.model_fields_set if (name in OF_IMAGES) != is_image)
        if unfit:
            kind, other = ("an image", "volumes") if is_image else ("a volume", "images")
            raise ProblemError("invalid-request", f"the file is {kind}; for {other} only: {', '.join(unfit)}")

    def of_volume(self) -> Options:
        """The command's options."""
        return Options(self.formats, self.window, self.grow, self.series, self.unit, self.weight, self.dose)


def read_options(given: dict[str, str]) -> SegmentOptions:
    """Check the options that came.

    Raises:
        ProblemError: an unknown one, or a value that can't be; says which and what is wanted, without the value.
    """
    try:
        return SegmentOptions.model_validate({name: value for name, value in given.items() if value})
    except ValidationError as error:
        raise ProblemError("invalid-request", _advice(error)) from None


def _advice(error: ValidationError) -> str:
    found = {str(entry["loc"][0]): entry["msg"] for entry in error.errors(include_url=False)}
    known = [f"{name}: {text}" for name, text in found.items() if name in SegmentOptions.model_fields]
    unknown = repeatable(found.keys() - SegmentOptions.model_fields.keys())
    if len(known) < len(found):
        names = ", ".join(SegmentOptions.model_fields)
        known.append(f"unknown options{': ' + ', '.join(unknown) if unknown else ''}; known: {names}")
    return "; ".join(known)
