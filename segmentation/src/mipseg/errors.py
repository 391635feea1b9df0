"""The error tree.

MipsegError
├── InputError              what was sent can't be used
│   ├── Base64Error         not base64
│   ├── ImageError          not a readable PNG or JPEG, or not one we accept
│   │   └── NotGreyError    a coloured image
│   ├── ImageTooLargeError  more pixels than the limit
│   ├── VolumeError         not a PET volume that can be read without guessing
│   └── ArgumentError       an array or a number that a caller of the library passed; a ValueError as well
├── SegmentationError       a mask breaks the contract (shape, values, channels); an AssertionError as well
├── ConfigError             an experiment's file is missing or wrong
├── DatasetError            the data set is missing or damaged
├── ReportError             a report can't be made
├── ModelError              the model's files are missing, damaged or do not fit
└── ClusterError            a Ray cluster can't be reached, or its nodes do not fit
"""


class MipsegError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(MipsegError):
    """What was sent can't be used.

    Attributes:
        code: short stable name, one of `mipseg.http.problem_codes`.
    """

    code = "invalid-request"


class Base64Error(InputError):
    """The text is not base64."""

    code = "invalid-base64"


class ImageError(InputError):
    """The bytes are not a readable PNG or JPEG, or one that is not accepted."""

    code = "invalid-image"


class NotGreyError(ImageError):
    """The image is coloured, but a MIP-PET is grey."""

    code = "not-grey"


class ImageTooLargeError(InputError):
    """The image has more pixels than the limit."""

    code = "image-too-large"


class VolumeError(InputError):
    """A file, folder or archive is not a PET volume that can be read without guessing; one line says why."""

    code = "invalid-volume"


class ArgumentError(InputError, ValueError):
    """An array or a number that a caller of the library passed can't be used; says what came and what is wanted."""


class SegmentationError(MipsegError, AssertionError):
    """A mask breaks the contract: wrong shape, other values than 0 and 255, or unequal channels.

    An AssertionError as well, since earlier starter kits assert the contract and teams catch that.
    """


class ConfigError(MipsegError):
    """An experiment's file is missing or wrong."""


class DatasetError(MipsegError):
    """The data set is missing or damaged."""


class ReportError(MipsegError):
    """A report can't be made: what it needs is not installed, or there is nothing to report."""


class ModelError(MipsegError):
    """The model's files are missing, damaged or do not fit each other."""


class ClusterError(MipsegError):
    """A Ray cluster can't be reached, or one of its nodes does not fit the others."""
