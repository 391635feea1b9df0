import json
import os
import re
import subprocess
import sys

import pytest

SAY = """
import logging, structlog
from mipseg.serving.serve import configure_logging
configure_logging()
structlog.get_logger().info("ready", seconds=1.5)
logging.getLogger("uvicorn.error").warning("slow %s", "start")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger().exception("failed")
"""


def test_a_program_reads_one_json_object_per_line() -> None:
    run = subprocess.run([sys.executable, "-c", SAY], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("ready", "info"),
        ("slow start", "warning"),
        ("failed", "error"),
    ]
    assert lines[0]["seconds"] == 1.5
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", lines[0]["timestamp"])
    assert "ZeroDivisionError" in lines[2]["exception"]
    assert run.stdout == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_a_person_reads_text() -> None:
    import pty  # noqa: PLC0415

    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", SAY], stderr=theirs) as process:
        os.close(theirs)
        text = ""
        try:
            while part := os.read(ours, 65536):
                text += part.decode()
        except OSError:  # what Linux says at the end
            pass
    os.close(ours)
    assert process.returncode == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d \[info +\] ready +seconds=1\.5 *", lines[0])
    assert re.fullmatch(r"\d\d:\d\d:\d\d \[warning +\] slow start *", lines[1])
    assert lines[-1] == "ZeroDivisionError: division by zero"
