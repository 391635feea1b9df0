"""What a run does with its cases: the options, and what comes of a case."""

import hashlib
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from mipseg.growing import DEFAULT_RULE, Rule
from mipseg.io.volume import Unit
from mipseg.model.folder import read_config
from mipseg.model.segmenter import MODELS, load_segmenter
from mipseg.settings import Settings

Format: TypeAlias = Literal["png", "nifti", "seg", "sr", "suv"]
FORMATS: tuple[Format, ...] = get_args(Format)
DEFAULT_FORMATS: tuple[Format, ...] = ("png", "nifti", "seg", "sr")


@dataclass(frozen=True)
class Options:
    """What changes the result of a case.

    Attributes:
        formats: `png`: MIP, mask, overlay and probabilities, and of a volume MIPs from all around; `nifti`: the mask;
            `seg`: DICOM-SEG; `sr`: DICOM report; `suv`: the SUV as NIfTI. A measurements.json is always written.
        window_top: the value that the networks see as the hottest; None: SUV 6.
        rule: how lesions grow from the mask; see `mipseg.growing.grow`.
        series: UID of the DICOM series, where there are several.
        unit: of NIfTI, MHA and NRRD; see `mipseg.io.read.read_volume`, as for the next two.
        weight_kg: body weight.
        dose_bq: injected activity.
    """

    formats: tuple[Format, ...] = DEFAULT_FORMATS
    window_top: float | None = None
    rule: Rule = DEFAULT_RULE
    series: str | None = None
    unit: Unit | None = None
    weight_kg: float | None = None
    dose_bq: float | None = None


@dataclass(frozen=True)
class Provenance:
    """What computed a result.

    Attributes:
        version: of this package.
        model: the model's name.
        model_sha256: one digest for all that decides its answers, see `ModelConfig.sha256`.
        runtime: such as `onnxruntime float32`.
    """

    version: str
    model: str
    model_sha256: str
    runtime: str


def provenance(settings: Settings) -> Provenance:
    """What will compute the results, by the settings.

    Raises:
        ModelError: the model is missing or damaged.
    """
    config, runtime = read_config(MODELS / settings.model), load_segmenter(settings).runtime
    return Provenance(version("mipseg"), config.name, config.sha256, f"{runtime.name} {runtime.precision}")


@dataclass(frozen=True)
class Plan:
    """What a run does with each of its cases; it travels to other processes.

    Attributes:
        out: the output folder.
        settings: the model and its threads.
        options: see `Options`.
        provenance: see `Provenance`.
        created: when the run began; in the DICOM files.
        force: do again what is done.
        correction: PNG of a volume's mask of the projection, which a person corrected; None: the model's mask is taken.
    """

    out: Path
    settings: Settings
    options: Options
    provenance: Provenance
    created: datetime
    force: bool = False
    correction: Path | None = None

    def key(self, input_sha256: str) -> dict[str, Any]:
        """What has to be the same for a result to be still good, as JSON holds it."""
        options = asdict(self.options)
        chosen = self.settings
        options |= {"formats": list(self.options.formats), "min_patient": chosen.min_patient}
        key = {"input_sha256": input_sha256, **asdict(self.provenance), "options": options}
        if self.correction is not None:
            key["correction_sha256"] = hashlib.sha256(self.correction.read_bytes()).hexdigest()
        return key


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes:
        case: its name.
        input: its path.
        status: `done`, `skipped` (it was done before) or `failed`.
        error: one line; empty unless it failed.
        lesions: their number.
        has_tumour: probability that there is a tumour anywhere.
        total_mtv_ml: of all lesions; None for an image.
        mask_sha256: of the mask's pixels or voxels, one byte each, on the input's own grid.
        files: what was written.
        warnings: `code` or `code: sentence` each.
        seconds: of each step.
    """

    case: str
    input: str
    status: Literal["done", "skipped", "failed"]
    error: str = ""
    lesions: int | None = None
    has_tumour: float | None = None
    total_mtv_ml: float | None = None
    mask_sha256: str | None = None
    files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
