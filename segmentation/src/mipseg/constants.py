"""Numbers on which several parts have to agree; all others stand where they are used."""

PITCH_MM = 2.0  # between rows and between columns of the images that the networks were trained on, about
WINDOW_TOP_SUV = 6.0  # what is as hot or hotter is black in them
REPLY_DEADLINE_S = 10.0  # the championship's judge waits no longer
MAX_BODY_BYTES = 6 * 2**20  # of a request or a reply
MAX_PIXELS = 2_000_000  # of an image
MAX_SPACING_MM = 100.0  # what is larger was given in another unit
PORT = 8000  # of the service, and of a judge that runs alone
FWHM = 2.3548  # full width at half maximum of a Gaussian with a standard deviation of 1
