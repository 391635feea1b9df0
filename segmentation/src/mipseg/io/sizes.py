"""How large an image may be: checked on a file's header, before a pixel is decoded."""

from mipseg.errors import ImageError, ImageTooLargeError

MAX_SIDE = 10_000  # an image of one row is padded to 32, so a side must be bounded as well


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Check the size that a file claims.

    Raises:
        ImageError: it has no pixels.
        ImageTooLargeError: it has more than `max_pixels`, or a side beyond 10,000.
    """
    if width < 1 or height < 1:
        raise ImageError("img has a side of 0 pixels")
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        raise too_large(max_pixels)


def too_large(max_pixels: int) -> ImageTooLargeError:
    """The error that names the limits."""
    return ImageTooLargeError(
        f"img is larger than {max_pixels} pixels or a side of it than {MAX_SIDE}; send a smaller one"
    )
