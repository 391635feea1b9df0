import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest

from mipseg.client import transport
from tests.client.conftest import Command
from tests.client.judge import CANARY, QUEUED, VALIDATE, VALIDATION, Answer, StandIn, attempt
from tests.ports import free_port


@pytest.fixture
def closed_port() -> int:
    return free_port()


def test_no_server(run_validate: Command, monkeypatch: pytest.MonkeyPatch, closed_port: int) -> None:
    url = f"http://localhost:{closed_port}"
    monkeypatch.setenv("EVAL_API_URL", url)
    text = f"no judge answers at {url}; start the local one with `make api`, or set EVAL_API_URL"
    result = run_validate()
    assert (result.code, result.out, result.err) == (2, "", f"error: {text}\n")
    assert run_validate("--json").object == {"error": "no-server", "message": text}


def test_no_server_and_no_token(run_validate: Command, monkeypatch: pytest.MonkeyPatch, closed_port: int) -> None:
    monkeypatch.setenv("EVAL_API_URL", f"http://127.0.0.1:{closed_port}")
    monkeypatch.delenv("EVAL_API_TOKEN")
    assert "no judge answers at" in run_validate().err


def test_no_such_host(run_validate: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVAL_API_URL", "https://judge.invalid")

    def resolve(*_: object) -> list[object]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    result = run_validate()
    assert (result.code, result.err) == (2, "error: no such host: judge.invalid\n")


def test_a_proxy_that_refuses(run_validate: Command, monkeypatch: pytest.MonkeyPatch, judge: StandIn) -> None:
    monkeypatch.setenv("EVAL_API_URL", "https://1.1.1.1")
    monkeypatch.setenv("HTTPS_PROXY", judge.url)  # answers CONNECT with 501
    result = run_validate()
    assert (result.code, result.err) == (2, "error: the proxy does not let through to https://1.1.1.1\n")


@pytest.mark.parametrize(("name", "value"), [
    ("HTTPS_PROXY", "gopher://user:secret@host"), ("SSL_CERT_FILE", "/nowhere/secret.pem"),
])  # fmt: skip
def test_an_environment_that_the_library_can_not_use(
    run_validate: Command, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("EVAL_API_URL", "https://1.1.1.1")
    monkeypatch.setenv(name, value)
    result = run_validate()
    assert (result.code, "secret" in result.err) == (2, False)
    assert result.err.startswith("error: the environment's proxy or certificate settings")


@pytest.mark.parametrize("answer", [Answer(QUEUED, before_s=1), Answer(QUEUED, between_bytes_s=0.1)])
def test_a_judge_that_is_too_slow(
    judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    monkeypatch.setattr(transport, "ANSWER_S", 0.4)
    judge.will(VALIDATE, answer)
    started = time.monotonic()
    result = run_validate("--json")
    assert time.monotonic() - started < 5  # the drip alone would take 20
    assert (result.code, result.object["error"]) == (2, "timeout")
    assert result.err == (
        f"error: {judge.url} does not answer in time; it may have queued the validation all the same\n"
    )


def test_a_judge_that_hangs_up(judge: StandIn, run_validate: Command) -> None:
    judge.will(VALIDATE, Answer(QUEUED, cut=True))
    result = run_validate()
    assert result.code == 2
    assert result.err == (
        f"error: the connection to {judge.url} broke (RemoteProtocolError); "
        "it may have queued the validation all the same\n"
    )


def test_what_does_not_speak_http(run_validate: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        monkeypatch.setenv("EVAL_API_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        result = run_validate("--json")
        thread.join()
    assert (result.code, result.object["error"]) == (2, "broken")


def test_too_large_an_answer(judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 2**20)
    judge.will(VALIDATE, Answer(b" " * (2**20 + 1)))
    result = run_validate()
    assert (result.code, result.err) == (2, "error: the judge's answer is larger than 1 MiB\n")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("to", ["{other}/x", "//{host}/x", "http://[bad", f"https://judge.example/?{CANARY}"])
def test_redirects_are_not_followed(judge: StandIn, run_validate: Command, status: int, to: str) -> None:
    with StandIn() as other:
        location = to.format(other=other.url, host=other.url.removeprefix("http://"))
        judge.will(VALIDATE, Answer({}, status, {"Location": location}))
        result = run_validate()
        assert (result.code, other.lines) == (2, [])
    shown = {"{": other.url, "//": other.url, "ht": "https://judge.example"}
    target = "something that is not an address" if "[" in to else shown.get(to[:1], shown.get(to[:2]))
    assert result.err == (
        f"error: {judge.url} redirects to {target}, which was not followed; if that is right, set EVAL_API_URL to it\n"
    )


def test_https_where_there_is_none(judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    url = judge.url.replace("http:", "https:")
    monkeypatch.setenv("EVAL_API_URL", url)
    result = run_validate("--json")
    assert (result.code, result.object["error"]) == (2, "tls")
    assert result.err == f"error: no secure connection to {url}: the server does not speak TLS properly\n"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 and judge.example, which nobody trusts, with its key."""
    if not shutil.which("openssl"):
        pytest.skip("needs the openssl command")
    file = tmp_path / "own.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=judge", "-addext", "subjectAltName=IP:127.0.0.1,DNS:judge.example",
         "-keyout", file, "-out", tmp_path / "cert"],
        check=True, capture_output=True,
    )  # fmt: skip
    file.write_bytes(file.read_bytes() + (tmp_path / "cert").read_bytes())
    return file


def test_certificates(certificate: Path, run_validate: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with StandIn(lambda listener: context.wrap_socket(listener, server_side=True)) as judge:
        url = judge.url.replace("http:", "https:")
        monkeypatch.setenv("EVAL_API_URL", url)
        result = run_validate()
        assert result.code == 2
        assert result.err == (
            f"error: no secure connection to {url}: its certificate is not trusted: self-signed certificate\n"
        )
        assert judge.lines == []

        resolve = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", lambda _, *rest, **named: resolve("127.0.0.1", *rest, **named))
        monkeypatch.setenv("EVAL_API_URL", f"https://judge.example:{judge.port}")
        assert "self-signed" in run_validate().err
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert (run_validate().code, judge.lines) == (0, [VALIDATE])


def test_the_token_is_in_the_header_alone(judge: StandIn, run_validate: Command) -> None:
    content = attempt("failed", None)
    content["attempt"] |= {"errors": [f"echo {CANARY}", {"t": CANARY}], "service_url": f"https://x/{CANARY}"}
    judge.will(VALIDATION, Answer(content))
    for arguments in (["--wait"], ["--wait", "--json"]):
        result = run_validate(*arguments)  # looks for the token in all that is printed
        assert "echo [token]" in result.out
    assert all(CANARY not in request.line + str(request.body) for request in judge.requests)
