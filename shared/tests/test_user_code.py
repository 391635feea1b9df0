import asyncio
import builtins
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from mipseg.io.codec import encode_request
from mipseg.model.segmenter import Segmenter
from mipseg.serving.app import create_app
from mipseg.settings import Settings
from mipseg.types import Image
from mipserve.user_code import UserCode, UserCodeError, add_user_code

IMAGE = np.full((8, 6, 3), 200, np.uint8)
OLD, NEW = "def predict(img):\n    return img * 0 + 1\n", "def predict(img):\n    return img * 0 + 2\n"
BROKEN = {
    "syntax": ("def predict(img:\n", "SyntaxError: '(' was never closed (example.py, line 1)"),
    "missing": ("import no_such_package\n", "ModuleNotFoundError: No module named 'no_such_package'"),
    "raises": ("raise RuntimeError('no weights\\nsecond line')\n", "RuntimeError: no weights"),
    "exits": ("import sys\nsys.exit('bye')\n", "SystemExit: bye"),
    "no function": ("predict = 3\n", "AttributeError: example.py has no function `predict`"),
    "bytes": ("\0", "SyntaxError: source code string cannot contain null bytes"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A team's folder on the import path; what was loaded from it is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    before = sys.modules.copy()
    yield tmp_path
    for name in set(sys.modules) - before.keys():
        del sys.modules[name]
    sys.modules.update(before)


def built_in(image: Image) -> Image:
    return image * 0 + 9


def load(folder: Path) -> UserCode:
    code = UserCode(folder, built_in)
    code.load().result(10)
    return code


def save(code: UserCode, name: str, text: str) -> None:
    """Save a file and load, as the watcher does."""
    (code.folder / name).write_text(text)
    code.load([code.folder / name]).result(10)


def test_without_example_the_built_in_model_predicts(folder: Path) -> None:
    code = load(folder)
    assert code(IMAGE).max() == 9
    assert code.info["name"] == f"{__name__}.built_in"
    save(code, "example.py", NEW)  # one that is added later is taken
    assert code(IMAGE).max() == 2
    (folder / "example.py").unlink()
    code.load().result(10)
    assert code(IMAGE).max() == 9


def test_each_save_is_taken_even_within_one_second(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (folder / "example.py").write_text(OLD)
    os.utime(folder / "example.py", (1, 1))
    code = load(folder)
    first = code.info
    assert (code(IMAGE).max(), first["name"]) == (1, "example.predict")
    for text, value in ((NEW, 2), (OLD, 1), (NEW, 2)):  # of one length: Python's own cache would not see them
        (folder / "example.py").write_text(text)
        os.utime(folder / "example.py", (1, 1))
        code.load([folder / "example.py"]).result(10)
        assert code(IMAGE).max() == value
    assert code.info["sha256"] != first["sha256"]


def test_what_example_imports_from_its_folder_is_loaded_anew_and_nothing_else(folder: Path) -> None:
    installed = folder / ".venv/lib/site-packages/heavy.py"
    installed.parent.mkdir(parents=True)
    installed.write_text("import time\nLOADED = time.monotonic_ns()\n")
    (folder / "part").mkdir()
    (folder / "part/__init__.py").write_text("")
    (folder / "part/helper.py").write_text("VALUE = 3\n")
    head = f"import sys\nsys.path.insert(0, {str(installed.parent)!r})\nimport heavy, numpy, mipseg.settings\n"
    (folder / "example.py").write_text(
        head + "from part import helper\ndef predict(img):\n    return img * 0 + helper.VALUE\n"
    )
    code = load(folder)
    assert code(IMAGE).max() == 3
    heavy, settings = sys.modules["heavy"].LOADED, sys.modules["mipseg.settings"]
    save(code, "part/helper.py", "VALUE = 4\n")
    assert code(IMAGE).max() == 4
    assert heavy == sys.modules["heavy"].LOADED
    assert sys.modules["mipseg.settings"] is settings
    assert sys.modules["numpy"] is np
    sys.path.remove(str(installed.parent))


def test_a_change_matters_only_to_what_is_loaded(folder: Path) -> None:
    (folder / "helper.py").write_text("VALUE = 3\n")
    (folder / "example.py").write_text("import helper\n" + OLD)
    code = load(folder)
    assert code.is_stale_after({folder / "example.py"})
    assert code.is_stale_after({folder / "unused.py", folder / "helper.py"})
    assert not code.is_stale_after({folder / "unused.py", folder / "tests/test_helper.py"})
    save(code, "example.py", "import later\n" + OLD)
    assert code.is_stale_after({folder / "later.py"})  # it may be what was missing


@pytest.mark.parametrize("fault", BROKEN)
def test_code_that_cannot_be_loaded_says_why_until_it_can(folder: Path, fault: str) -> None:
    text, message = BROKEN[fault]
    (folder / "example.py").write_text(OLD)
    code = load(folder)
    save(code, "example.py", text)
    with pytest.raises(UserCodeError) as error:
        code(IMAGE)
    assert str(error.value) == message
    assert code.info == {"name": None, "sha256": None}
    save(code, "example.py", NEW)
    assert code(IMAGE).max() == 2


def test_before_it_is_loaded_nothing_waits(folder: Path) -> None:
    with pytest.raises(UserCodeError, match="still being loaded"):
        UserCode(folder, built_in)(IMAGE)


def test_a_prediction_ends_with_the_version_with_which_it_began(folder: Path) -> None:
    (folder / "helper.py").write_text("VALUE = 1\n")
    text = "import helper\nSTARTED, GO = {events}\ndef predict(img):\n    STARTED.set()\n    GO.wait(10)\n"
    events = "__import__('threading').Event(), __import__('threading').Event()"
    (folder / "example.py").write_text(text.format(events=events) + "    return img * 0 + helper.VALUE\n")
    code = load(folder)
    old, masks = sys.modules["example"], list[Image]()
    running = threading.Thread(target=lambda: masks.append(code(IMAGE)))
    running.start()
    assert old.STARTED.wait(10)
    save(code, "helper.py", "VALUE = 2\n")
    sys.modules["example"].GO.set()
    assert code(IMAGE).max() == 2
    old.GO.set()
    running.join(10)
    assert [mask.max() for mask in masks] == [1]


def test_an_import_that_hangs_holds_up_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "example.py").write_text(OLD)
    code = load(folder)
    begun, go = threading.Event(), threading.Event()
    monkeypatch.setattr(builtins, "EVENTS", (begun, go), raising=False)  # the code has no other way to the test
    (folder / "example.py").write_text("begun, go = EVENTS\nbegun.set()\ngo.wait(30)\n" + OLD.replace("1", "3"))
    hanging = code.load([folder / "example.py"])
    assert begun.wait(10)
    assert code(IMAGE).max() == 1  # the last version goes on
    save(code, "example.py", NEW)
    assert code(IMAGE).max() == 2
    go.set()
    hanging.result(10)
    assert code(IMAGE).max() == 2  # what began earlier does not replace what was saved later


def test_while_a_new_version_is_loaded_the_last_ones_error_is_not_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "example.py").write_text(BROKEN["raises"][0])
    code = load(folder)
    go = threading.Event()
    monkeypatch.setattr(builtins, "EVENT", go, raising=False)
    (folder / "example.py").write_text("EVENT.wait(30)\n" + NEW)
    loading = code.load([folder / "example.py"])
    with pytest.raises(UserCodeError, match="still being loaded"):
        code(IMAGE)
    go.set()
    loading.result(10)
    assert code(IMAGE).max() == 2


@pytest.mark.parametrize(
    ("caller", "detail"),
    [
        ("127.0.0.1", "SyntaxError: '(' was never closed (example.py, line 1)"),
        ("192.0.2.1", "the model can't be loaded; see the log"),
    ],
)
def test_a_request_gets_503_at_once(folder: Path, caller: str, detail: str) -> None:
    (folder / "example.py").write_text(BROKEN["syntax"][0])
    code = load(folder)
    app = create_app(code, Segmenter(folder), Settings())
    add_user_code(app, code, follow=False)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(caller, 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post("/predict", json={"img": encode_request(IMAGE)})

    started = time.monotonic()
    answer = asyncio.run(ask())
    assert time.monotonic() - started < 5  # far from the deadline of 9 s, on a busy machine too
    assert (answer.status_code, answer.json()["code"]) == (503, "model-unavailable")
    assert answer.json()["detail"] == detail
    assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize("name", ["example.py", "helper.py"])
def test_a_save_before_the_watcher_has_begun_is_not_lost(folder: Path, name: str) -> None:
    (folder / "helper.py").write_text("LEVEL = 1\n")
    (folder / "example.py").write_text("import helper\ndef predict(img):\n    return img * 0 + helper.LEVEL\n")
    code = load(folder)
    app = create_app(code, Segmenter(folder), Settings())
    add_user_code(app, code, follow=True)
    (folder / name).write_text({"example.py": NEW, "helper.py": "LEVEL = 2\n"}[name])

    async def check() -> None:
        async with app.router.lifespan_context(app):
            end = time.monotonic() + 10
            while code(IMAGE).max() != 2:
                assert time.monotonic() < end
                await asyncio.sleep(0.01)

    asyncio.run(check())


def test_saves_are_followed_and_decide_whether_the_service_is_ready(folder: Path) -> None:
    (folder / "example.py").write_text(BROKEN["raises"][0])
    code = load(folder)
    app = create_app(code, Segmenter(folder), Settings())
    add_user_code(app, code, follow=True)

    async def until(ready: bool) -> None:
        end = time.monotonic() + 10
        while app.state.ready is not ready:
            await asyncio.sleep(0.01)
            assert time.monotonic() < end

    async def check() -> None:
        async with app.router.lifespan_context(app):
            assert not app.state.ready
            (folder / "example.py").write_text("def predict(img):\n    return img * 0\n")
            await until(ready=True)
            assert code(IMAGE).max() == 0
            (folder / "example.py").write_text(BROKEN["syntax"][0])
            await until(ready=False)
            (folder / "example.py").write_text("def predict(img):\n    return img * 0 + 255\n")
            await until(ready=True)
            assert code(IMAGE).max() == 255

    asyncio.run(check())
