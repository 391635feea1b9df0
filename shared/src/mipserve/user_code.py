"""The team's `example.py`, loaded anew inside of the running service whenever it is saved.

The service itself keeps running, and with it the built-in networks, whose loading takes longer than all else.
"""

import asyncio
import importlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import cache_from_source, module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Lock, Thread
from types import ModuleType
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from watchfiles import PythonFilter, awatch

from mipseg.errors import ModelError
from mipseg.serving.app import describe_function, warm_up
from mipseg.serving.callers import is_from_here
from mipseg.serving.problems import as_problem, problem_response
from mipseg.serving.routes import Predict
from mipseg.types import Image, Mask
from mipserve.settings import INSTALLED

FILE = "example.py"
LOADING = f"{FILE} is still being loaded"
FIRST_LOAD_S = 5.0  # the service starts without code that takes longer to import, and has it later
DEBOUNCE_MS = 200
FIRST_LOOK_MS = 1000  # after the watcher has begun
SERVICE = {"mipseg", "mipserve", "mipjudge"}  # lie below the team's folder in a checkout, but are not its code
_log = structlog.get_logger()


class UserCodeError(ModelError):
    """The team's code can't be loaded; the text is the first line of its error, for the people on this machine."""


@dataclass(frozen=True)
class Version:
    """What one loading of the team's code has come to.

    Attributes:
        predict: the function that answers; None where loading failed.
        error: the first line of what was raised, else empty.
        info: what `/api` says about the function.
        files: a change of one of these makes it stale.
    """

    predict: Predict | None
    error: str = ""
    info: dict[str, Any] = field(default_factory=lambda: {"name": None, "sha256": None})
    files: frozenset[Path] = frozenset()


class UserCode:
    """The prediction function of a team's folder, in its last saved version; without a file there, the built-in one.

    A prediction ends with the version with which it began: a new version is made of new modules, and those of the old
    one stay as they are.

    Attributes:
        folder: where example.py is.

    Args:
        folder: of example.py; on the import path, so that example.py can import what lies beside it.
        built_in: what answers where there is no example.py.
    """

    def __init__(self, folder: Path, built_in: Predict) -> None:
        self.folder, self._built_in, self._lock = folder.resolve(), built_in, Lock()
        self._version, self._last_begun, self._last_shown = Version(None, LOADING), 0, 0
        self._at_start: dict[Path, tuple[int, int]] | None = self._stamps()

    def __call__(self, image: Image) -> Mask:
        """Predict with the present version.

        Raises:
            UserCodeError: it can't be loaded, or is not loaded yet.
        """
        version = self._version
        if version.predict is None:
            raise UserCodeError(version.error)
        return version.predict(image)

    @property
    def info(self) -> dict[str, Any]:
        """What `/api` says about the present function: its name, and the SHA-256 of its file."""
        return self._version.info

    @property
    def is_loaded(self) -> bool:
        """Whether there is a function to predict with."""
        return self._version.predict is not None

    def load(self, changed: Iterable[Path] = ()) -> "Future[None]":
        """Begin to load the code, in a thread of its own: an import that hangs holds up nothing, nor the next version.

        Args:
            changed: files whose compiled form may be stale; Python does not see a second save within a second.
        """
        for file in changed:
            with suppress(OSError):
                Path(cache_from_source(str(file))).unlink(missing_ok=True)
        with self._lock:
            self._last_begun += 1
            number = self._last_begun
            if not self.is_loaded:
                self._version = Version(None, LOADING)  # what was wrong with the last one may be mended
        done: Future[None] = Future()

        def work() -> None:
            version = self._load()
            with self._lock:
                if number > self._last_shown:  # a later version may have been quicker
                    self._last_shown, self._version = number, version
            done.set_result(None)

        Thread(target=work, name="load", daemon=True).start()
        return done

    def is_stale_after(self, changed: set[Path]) -> bool:
        """Whether changed files concern what is loaded; where loading failed, any file may be the one that matters."""
        return not self.is_loaded or not changed.isdisjoint(self._version.files)

    def _load(self) -> Version:
        file = self.folder / FILE
        if not file.is_file():
            _log.info("serving", predict="built-in model")
            return Version(self._built_in, "", describe_function(self._built_in), frozenset([file]))
        try:
            predict = self._import(file)
        except BaseException as error:  # SystemExit as well: the service goes on
            _log.error("user_code_failed", exc_info=error)
            return Version(None, f"{type(error).__name__}: {error}".splitlines()[0][:300])
        _log.info("serving", predict=str(file))
        files = [file, *(Path(str(module.__file__)).resolve() for module in self._local_modules().values())]
        return Version(predict, "", describe_function(predict), frozenset(files))

    def _import(self, file: Path) -> Predict:
        for name in self._local_modules():
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        # Not by `import`, whose lock on the name a module that hangs would keep.
        spec = spec_from_file_location("example", file)
        if spec is None or spec.loader is None:
            raise ImportError(f"can't import {file}")
        module = sys.modules["example"] = module_from_spec(spec)
        spec.loader.exec_module(module)
        predict = getattr(module, "predict", None)
        if not callable(predict):
            raise AttributeError(f"{FILE} has no function `predict`")
        function: Predict = predict
        return function

    def _local_modules(self) -> dict[str, ModuleType]:
        """The modules in memory that come from the team's own Python files."""
        modules = sys.modules.copy()
        files = {
            name: Path(str(module.__file__))
            for name, module in modules.items()
            if name != "__main__"
            and name.partition(".")[0] not in SERVICE
            and str(getattr(module, "__file__", None)).endswith(".py")
        }
        # Folder by folder: there are ten times as many modules, and each look at the disk takes its time.
        local = {folder for folder in {file.parent for file in files.values()} if self._is_local(folder)}
        return {name: modules[name] for name, file in files.items() if file.parent in local}

    def _is_local(self, folder: Path) -> bool:
        path = folder.resolve()
        return path.is_relative_to(self.folder) and not INSTALLED & set(path.relative_to(self.folder).parts)

    def _stamps(self) -> dict[Path, tuple[int, int]]:
        """When the Python files of the folder were last saved, and how large they are."""
        stamps = {}
        for folder, below, names in os.walk(self.folder):
            below[:] = [name for name in below if name not in PythonFilter.ignore_dirs and name not in INSTALLED]
            for file in (Path(folder, name) for name in names if name.endswith(".py")):
                with suppress(OSError):
                    stamps[file.resolve()] = (file.stat().st_mtime_ns, file.stat().st_size)
        return stamps

    def _saved_before_the_watcher(self) -> set[Path]:
        """The files that were saved, made or removed since the start; none at a second call."""
        before, self._at_start = self._at_start, None
        return set() if before is None else {file for file, _ in before.items() ^ self._stamps().items()}

    async def follow(self, app: FastAPI) -> None:
        """Load the code after every change that concerns it, until cancelled."""
        loading = set()  # keeps the tasks alive
        watcher = awatch(
            self.folder,
            watch_filter=PythonFilter(),
            debounce=DEBOUNCE_MS,
            rust_timeout=FIRST_LOOK_MS,
            yield_on_timeout=True,
            ignore_permission_denied=True,
        )
        async for changes in watcher:
            changed = {Path(file).resolve() for _, file in changes} | self._saved_before_the_watcher()
            if changed and self.is_stale_after(changed):
                task = asyncio.create_task(self._load_for(app, changed))
                loading.add(task)
                task.add_done_callback(loading.discard)

    async def _load_for(self, app: FastAPI, changed: set[Path]) -> None:
        await asyncio.wrap_future(self.load(changed))
        await warm_up(app, self)


def add_user_code(app: FastAPI, code: UserCode, *, follow: bool) -> None:
    """Let a service answer with a team's code, and say what is wrong with it.

    Args:
        app: the service, made with `code` as its function.
        code: being loaded.
        follow: whether to load it again when it is saved.
    """
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it reports every file, even a log in the folder

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(code.follow(app))] if follow and code.folder.is_dir() else []
        yield
        for task in tasks:
            task.cancel()

    app.include_router(APIRouter(lifespan=lifespan))

    @app.exception_handler(UserCodeError)
    async def on_broken(request: Request, error: UserCodeError) -> Response:
        problem = as_problem(error)
        if is_from_here(request):
            problem.detail = str(error)
        return problem_response(problem)
