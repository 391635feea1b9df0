"""`mipseg`: the verbs put together."""

import atexit
import gc
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

# Each verb stands in a module of its name, which is imported when the verb is called: all of them take a second.
VERBS = {
    "segment": "Find tumours in images and volumes, and measure them.",
    "report": "Write OUT/report.html on all cases, and a report.html and a report.pdf beside the results of each.",
    "evaluate": "Compare masks with their references: Dice with its interval, lesions by size, clean controls.",
    "info": "Say what an input is: kind, maker, size, orientation, tracer, and whether it has SUV and why not.",
    "serve": "Serve the unified API; takes the options of its command, `api`.",
}
_PASSED_ON = {"serve": {"allow_extra_args": True, "ignore_unknown_options": True}}  # options of another command


class Verbs(TyperGroup):
    """The verbs by name; only the one that is called is imported."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The verb that the arguments begin with, and the other arguments."""
        name, listed, others = super().resolve_command(ctx, args)
        return name, listed and load_verb(listed.name or ""), others


def load_verb(name: str) -> TyperCommand:
    """A verb with its options."""
    alone, passed_on = typer.Typer(add_completion=False), _PASSED_ON.get(name)
    alone.command(name, add_help_option=passed_on is None, context_settings=passed_on)(
        getattr(import_module(f"mipseg.cli.{name}"), name)
    )
    return typer.main.get_command(alone)  # type: ignore[return-value] # one command is no group


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Tumour segmentation in whole-body PET: MIP images, and volumes as NIfTI or DICOM. Not a medical device.",
)
for verb, summary in VERBS.items():
    app.command(verb, help=summary)(lambda: None)


def main() -> None:
    """Command line."""
    atexit.register(gc.freeze)  # else the collector looks through all modules once more at the end, for 0.8 s
    app()


if __name__ == "__main__":
    main()
