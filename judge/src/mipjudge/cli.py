"""`judge`: the judge as a service; `judge admin`: what its operator does."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event
from typing import NoReturn

import structlog
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from mipjudge import attempt_queue, store
from mipjudge.answers import iso
from mipjudge.database import Database
from mipjudge.models import Attempt, Team
from mipjudge.runner import Worker
from mipjudge.service import Judge
from mipjudge.settings import JudgeSettings
from mipjudge.team_names import team_name
from mipseg.constants import PORT
from mipseg.errors import MipsegError
from mipseg.serving.serve import configure_logging, serve
from mipseg.settings import Settings, describe

_log = structlog.get_logger()


def main() -> None:
    """Command line."""
    arguments = _parse()
    try:
        Settings()  # the service's own, whose limits hold for the judge's requests: wrong ones are told before all else
        settings = JudgeSettings()
        chosen = {name: value for name in ("host", "port") if (value := getattr(arguments, name, None)) is not None}
        if chosen:  # by the environment, as the application is built anew in uvicorn's process
            os.environ.update({f"MIPSEG_JUDGE_{name.upper()}": str(value) for name, value in chosen.items()})
            settings = JudgeSettings()
        command: Callable[[argparse.Namespace, JudgeSettings], None] = arguments.run
        command(arguments, settings)
    except ValidationError as error:
        _exit(describe(error), 2)
    except UnicodeDecodeError:
        _exit(".env can't be read; it must be a text file in UTF-8", 2)
    except MipsegError as error:
        _exit(str(error), 1)
    except SQLAlchemyError as error:
        _exit(f"the database can't be used ({type(error).__name__})", 1)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="judge", description="The judge of a championship.")
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", help=f"TCP port (default: {PORT})")
    parser.set_defaults(run=_serve)
    commands = parser.add_subparsers(title="commands", metavar="")
    commands.add_parser("work", help="judge attempts without serving; any number of these may run").set_defaults(
        run=_work
    )
    admin = commands.add_parser("admin", help="teams, the evaluation's date, attempts")
    actions = admin.add_subparsers(title="actions", metavar="", required=True)

    def add(name: str, run: Callable[[argparse.Namespace, Database], None], text: str) -> argparse.ArgumentParser:
        def on_database(arguments: argparse.Namespace, settings: JudgeSettings) -> None:
            db = Database(settings.sqlalchemy_url)
            try:
                run(arguments, db)
            finally:
                db.close()

        action = actions.add_parser(name, help=text)
        action.set_defaults(run=on_database)
        return action

    add("make-team", _make_team, "register a team and show its token, once").add_argument("name")
    rename = add("rename-team", _rename_team, "give a team another name")
    rename.add_argument("name")
    rename.add_argument("new_name")
    add("new-token", _new_token, "give a team another token and show it, once").add_argument("name")
    add("delete-team", _delete_team, "remove a team with its attempts").add_argument("name")
    add("teams", _list_teams, "list the teams")
    add("open-evaluation", _open, "let each team evaluate once").add_argument(
        "--at", type=_moment, help="from when on, such as 2026-12-01T12:00+01:00 (default: now)"
    )
    add("close-evaluation", _close, "take no more evaluations")
    add("attempts", _list_attempts, "list the attempts, latest first").add_argument("--limit", type=int, default=50)
    add("cancel", _cancel, "end an attempt that is queued or running").add_argument("uuid")
    add("requeue", _requeue, "start an attempt afresh, also a used evaluation").add_argument("uuid")
    return parser.parse_args()


def _moment(text: str) -> datetime:
    """A date that can be kept as seconds since 1970 and shown again; without a time zone it is this machine's time."""
    with suppress(ValueError, OverflowError, OSError):  # the latter two beyond the years that the system knows
        date = datetime.fromisoformat(text).astimezone()
        seconds = date.timestamp()
        datetime.fromtimestamp(seconds, UTC)
        if seconds >= 0:
            return date
    raise argparse.ArgumentTypeError(f"{text!r}; a date from 1970 on is needed, such as 2026-12-01T12:00+01:00")


def _serve(_: argparse.Namespace, settings: JudgeSettings) -> None:
    serve("mipjudge.app:make_app", settings.host, settings.port, app_dir=".")


def _work(_: argparse.Namespace, settings: JudgeSettings) -> None:
    configure_logging()
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    opened = Judge(settings).open()
    _log.info("judge_works", images=opened.sets.source)
    Worker(opened.db, opened.sets, settings).run(stop)
    opened.db.close()


def _make_team(arguments: argparse.Namespace, db: Database) -> None:
    team, token = store.make_team(db, arguments.name)
    _say(f"team   {team.name}\nuuid   {team.id}\ntoken  {token}\nThe token is not kept; give it to the team now.")


def _rename_team(arguments: argparse.Namespace, db: Database) -> None:
    _need(store.rename_team(db, arguments.name, arguments.new_name), "team")
    _say(f"team   {team_name(arguments.new_name)}")


def _new_token(arguments: argparse.Namespace, db: Database) -> None:
    token = store.new_token(db, arguments.name)
    _need(token is not None, "team")
    _say(f"token  {token}\nThe old token is not known any more. The new one is not kept; give it to the team now.")


def _delete_team(arguments: argparse.Namespace, db: Database) -> None:
    _need(store.delete_team(db, arguments.name), "team")
    _say("deleted")


def _list_teams(_: argparse.Namespace, db: Database) -> None:
    with db.read() as session:
        for team in session.scalars(select(Team).order_by(Team.created_at)):
            _say(f"{team.id}  {iso(team.created_at)}  {team.name}")


def _open(arguments: argparse.Namespace, db: Database) -> None:
    date: datetime = arguments.at or datetime.now().astimezone()
    store.set_evaluation(db, date.timestamp())
    _say(f"the evaluation is open from {iso(date.timestamp())}")


def _close(_: argparse.Namespace, db: Database) -> None:
    store.set_evaluation(db, None)
    _say("the evaluation is closed")


def _list_attempts(arguments: argparse.Namespace, db: Database) -> None:
    with db.read() as session:
        query = select(Attempt, Team.name).join(Team, Team.id == Attempt.team_id).order_by(Attempt.enqueued_at.desc())
        for attempt, name in session.execute(query.limit(arguments.limit)):
            score = "-" if attempt.score is None else f"{attempt.score:.4f}"
            end = attempt.failure or score
            _say(f"{attempt.id}  {attempt.kind:10}  {attempt.status:7}  {end:12}  {iso(attempt.enqueued_at)}  {name}")


def _requeue(arguments: argparse.Namespace, db: Database) -> None:
    _need(attempt_queue.requeue(db, arguments.uuid), "attempt")
    _say("queued")


def _cancel(arguments: argparse.Namespace, db: Database) -> None:
    if not attempt_queue.cancel(db, arguments.uuid):
        _exit("there is no such attempt, or it is over", 1)
    _say("cancelled")


def _need(found: bool, what: str) -> None:
    if not found:
        _exit(f"there is no such {what}", 1)


def _say(text: str) -> None:
    # A console with few letters must not turn a name into an error: a token that was made is shown once.
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def _exit(message: str, status: int) -> NoReturn:
    sys.stderr.write(f"error: {message}\n")
    sys.exit(status)


if __name__ == "__main__":
    main()
