"""`uv run validate`: submit the endpoint to the judge."""

import sys
from argparse import Namespace
from pathlib import Path

from pydantic import ValidationError

from mipseg.client.answers import Kind
from mipseg.client.api import JudgeClient
from mipseg.client.errors import RefusalError, UsageError
from mipseg.client.follow import follow
from mipseg.client.output import Output, make_parser, run
from mipseg.client.session import need_uuid, open_judge, warn_if_out_of_reach
from mipseg.client.settings import ClientSettings
from mipseg.errors import DatasetError, InputError
from mipseg.settings import Settings, describe


def _confirm(output: Output) -> None:
    output.note("This uses up the one evaluation that your team has. Type yes to go on:")
    answer = sys.stdin.readline() if sys.stdin else ""  # None where it is closed
    if answer.strip().lower() != "yes":
        raise UsageError("not-confirmed", "not confirmed, so nothing was submitted; scripts give --yes")


def _prepare_evaluation(judge: JudgeClient, url: str, arguments: Namespace, output: Output) -> int:
    """Spare the one evaluation an endpoint that the judge gets no prediction from; returns an exit code."""
    try:
        found = judge.verify(url)
        if not (found.can_connect and found.can_predict):
            output.note("the connection test failed, so the evaluation was not used")
            return output.verification(found, url)
    except RefusalError as error:
        if error.status not in (404, 405, 501):
            raise
        output.note("this judge has no connection test")
    if not arguments.yes:
        _confirm(output)
    return 0


def _try_here(folder: Path, url: str, output: Output) -> None:
    """Ask the endpoint from here, save what it answers, and say how good that is.

    Raises:
        UsageError: it can't be asked, or nothing can be saved.
    """
    try:
        from mipseg.client.save_images import NobodyAnswersError, save_images  # noqa: PLC0415 # an extra
    except ModuleNotFoundError as error:
        text = f"--save-images needs the package {error.name}: pip install 'mipseg[report]'"
        raise UsageError("bad-setting", text) from None
    try:
        saved = save_images(url, folder, Settings())
    except NobodyAnswersError:
        raise UsageError("unreachable", f"nobody answers at {url}, so nothing was saved or submitted") from None
    except OSError as error:
        raise UsageError("bad-setting", f"can't write {error.filename}: {error.strerror}") from None
    except ValidationError as error:
        raise UsageError("bad-setting", describe(error)) from None
    except (InputError, DatasetError) as error:
        raise UsageError("bad-setting", str(error)) from None
    found, times = saved.evaluation, saved.evaluation.timings
    said = [f"asked from here: {len(found.scores)} {saved.source}, mean Dice {found.dice.mean or 0.0:.4f}"]
    if times is not None:
        said.append(f"{times.p50_s:.2f} s per image, at most {times.max_s:.2f} s")
    if found.failed:
        said.append(f"{len(found.failed)} without a usable mask")
    output.note(f"{', '.join(said)}; look at {saved.page}")


def _cancel(arguments: Namespace, output: Output) -> int:
    uuid = need_uuid(arguments.cancel)
    with open_judge(ClientSettings.load(arguments.port), output) as judge:
        output.attempt(judge.cancel(uuid))
    return 0


def _validate(arguments: Namespace, output: Output) -> int:
    settings = ClientSettings.load(arguments.port)
    url = settings.tumor_segmentation_service_url
    kind = Kind.EVALUATION if arguments.evaluate else Kind.VALIDATION
    if arguments.save_images is not None:
        _try_here(arguments.save_images, url, output)
    with open_judge(settings, output) as judge:
        warn_if_out_of_reach(settings, output)
        if arguments.verify:
            return output.verification(judge.verify(url), url)
        if arguments.evaluate and (exit_code := _prepare_evaluation(judge, url, arguments, output)):
            return exit_code
        attempt = judge.submit(kind, url)
        output.submitted(attempt, last=not arguments.wait)
        if not arguments.wait:
            return 0
        return output.attempt(follow(lambda: judge.find(attempt.uuid, (kind,)), attempt))


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = make_parser("validate", "Submit your endpoint to the judge, which sends it images and scores its masks.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--verify", action="store_true", help="only let the judge test the connection")
    what.add_argument("--evaluate", action="store_true", help="the evaluation, which each team has once")
    what.add_argument("--cancel", metavar="UUID", help="end an attempt that is queued or running")
    parser.add_argument(
        "--save-images",
        type=Path,
        metavar="DIR",
        help="first ask the endpoint from here, and save images, answers, both side by side, and a page on them",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before the evaluation")
    arguments = parser.parse_args(argv)
    if arguments.wait and (arguments.verify or arguments.cancel is not None):
        parser.error(f"--wait does not go with {'--verify' if arguments.verify else '--cancel'}")
    if arguments.save_images is not None and arguments.cancel is not None:
        parser.error("--save-images does not go with --cancel")
    if arguments.yes and not arguments.evaluate:
        parser.error("--yes goes with --evaluate")
    output = Output(as_json=arguments.json)
    command = _validate if arguments.cancel is None else _cancel
    return run(output, lambda: command(arguments, output))


if __name__ == "__main__":
    sys.exit(main())
