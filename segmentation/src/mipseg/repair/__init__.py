"""Images that are not quite the data set's: repaired and said, or doubted and said.

`repair` is asked before the prediction, `doubts` after it. An image like the data set's passes as it is, with no word.
`steps` repairs and `judgement` doubts; each other file answers one question about an image.
"""

from mipseg.repair.codes import OF_VOLUME, PLAIN, InputWarning
from mipseg.repair.judgement import EMPTY, doubts, judge
from mipseg.repair.steps import Repaired, repair

__all__ = ["EMPTY", "OF_VOLUME", "PLAIN", "InputWarning", "Repaired", "doubts", "judge", "repair"]
