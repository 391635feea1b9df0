"""`mipseg`: the verbs put together."""

import atexit
import gc

import typer

from mipseg.cli.evaluate import evaluate
from mipseg.cli.info import info
from mipseg.cli.report import report
from mipseg.cli.segment import segment
from mipseg.cli.serve import serve

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Tumour segmentation in whole-body PET: MIP images, and volumes as NIfTI or DICOM. Not a medical device.",
)
for verb in (segment, report, evaluate, info):
    app.command()(verb)
app.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(serve)


def main() -> None:
    """Command line."""
    atexit.register(gc.freeze)  # else the collector looks through all modules once more at the end, for 0.8 s
    app()


if __name__ == "__main__":
    main()
