"""What a repair or a doubt is called, and what it means in plain words."""

from enum import StrEnum


class InputWarning(StrEnum):
    """Codes that go out with an answer; `PLAIN` has the words for each."""

    BORDER_REMOVED = "border-removed"
    INVERTED = "inverted"
    GREY_AIR = "grey-air"
    BIT_DEPTH = "bit-depth"
    REPEATED = "repeated-pixels"
    ORIENTATION = "orientation"
    SCALE = "scale"
    SEVERAL_BODIES = "several-bodies"
    PART_OF_BODY = "part-of-body"
    WINDOW = "window"
    UNIFORM = "uniform"
    NO_BODY = "no-body"
    NO_AIR = "no-air"
    NOISE = "noise"
    SMOOTH = "smooth"
    SMALL = "small"
    IMPLAUSIBLE = "implausible"


PLAIN = {
    InputWarning.BORDER_REMOVED: "A border, text or colour bar was removed; the picture shows air in its place. "
    "What lies over the body, or touches it, is left.",
    InputWarning.INVERTED: "The background was dark, so the image was inverted; the picture shows it inverted.",
    InputWarning.GREY_AIR: "The air around the body was grey, so the greys were stretched until it is white, as the "
    "picture shows.",
    InputWarning.BIT_DEPTH: "The file has 16 bits but uses fewer; its values were stretched to the whole range.",
    InputWarning.REPEATED: "Pixels were repeated, as by enlarging without interpolation; the picture shows them "
    "interpolated.",
    InputWarning.ORIENTATION: "The body did not stand upright. The image was turned for the prediction, and the mask "
    "turned back: picture and mask lie as in the file.",
    InputWarning.SCALE: "The body is unusually large, small, long or wide, and the pixels' size is not known. It was "
    "resized by guess for the prediction; picture and mask have the file's size.",
    InputWarning.SEVERAL_BODIES: "The image seems to show several bodies or views; the mask may be wrong. Send one "
    "view from the front.",
    InputWarning.PART_OF_BODY: "The image does not look like a body from head to thighs; the mask may be wrong.",
    InputWarning.WINDOW: "The SUV window is very narrow or wide; it should end near SUV 6. A wide one was rescaled by "
    "guess, as the picture shows; in a narrow one much is lost, so the mask may be wrong.",
    InputWarning.UNIFORM: "All pixels are nearly alike, so the mask is empty.",
    InputWarning.NO_BODY: "No body was found, so the mask is empty.",
    InputWarning.NO_AIR: "There is hardly any air around the body. This may not be a MIP-PET; the mask may be wrong.",
    InputWarning.NOISE: "The image is very noisy; the mask may be wrong.",
    InputWarning.SMOOTH: "The image is much smoother than PET at 2 mm per pixel, or has few grey levels. It was "
    "sharpened as far as it can be; lesions may be missed, and outlines wrong.",
    InputWarning.SMALL: "The image is smaller than 100 pixels along a side; the mask may be wrong.",
    InputWarning.IMPLAUSIBLE: "The mask covers more than half of the body, so it is probably wrong. This may not "
    "be a MIP-PET.",
}

# What is said instead of a volume, which is judged but never repaired.
OF_VOLUME = {
    InputWarning.ORIENTATION: "the body does not seem to stand upright with its head up; the header may be wrong",
    InputWarning.SCALE: "the body is unusually large, small, long or wide; the header's spacing may be wrong, or this "
    "is a child",
    InputWarning.SMOOTH: "the projection is much smoother than what the model knows, as coarse voxels make it; lesions "
    "may be missed, and outlines wrong",
    InputWarning.WINDOW: "the body is unusually faint or bright; the SUV may be wrong, or the window unusual",
}
