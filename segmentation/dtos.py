"""Request and answer under the names that earlier starter kits use."""

from mipseg.serving.routes import PredictRequest as TumorPredictRequestDto
from mipseg.serving.routes import PredictResponse as TumorPredictResponseDto

__all__ = ["TumorPredictRequestDto", "TumorPredictResponseDto"]
