"""The service's commands."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest


def advisor(*arguments: str, data: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "api", *arguments],
        capture_output=True, text=True, timeout=120,
        env={**os.environ, "ADVISOR_DATA": str(data), **environment},
    )  # fmt: skip


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_without_keys_no_other_address_is_listened_on(host: str, tmp_path: Path) -> None:
    done = advisor("api", "--host", host, data=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "ADVISOR_REQUIRE_KEYS" in done.stderr


def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    made = advisor("keys", "create", "acme", "--name", "laptop", data=tmp_path)
    key = made.stdout.strip()
    assert key.startswith("adv_")
    listed = advisor("keys", "list", data=tmp_path).stdout
    id = key.split("_")[1]
    assert id in listed
    assert "acme" in listed
    assert key.split("_", 2)[2] not in listed
    assert advisor("keys", "revoke", id, data=tmp_path).returncode == 0
    assert "revoked" in advisor("keys", "list", data=tmp_path).stdout
    wrong = advisor("keys", "revoke", "nonsense", data=tmp_path)
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (2, False)


def test_a_worker_refuses_a_database_that_is_not_there_yet(tmp_path: Path) -> None:
    done = advisor("worker", data=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "advisor api" in done.stderr


def test_a_bad_setting_is_one_sentence(tmp_path: Path) -> None:
    done = advisor("worker", data=tmp_path, ADVISOR_KEEP_DAYS="soon")
    assert (done.returncode, "ADVISOR_KEEP_DAYS" in done.stderr) == (2, True)


def test_what_cannot_be_started_on_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    on_a_file = advisor("api", data=tmp_path / "file")
    without_url = advisor("worker", data=tmp_path / "data", ADVISOR_DATABASE_URL="foo")
    for done, name in ((on_a_file, "ADVISOR_DATA"), (without_url, "ADVISOR_DATABASE_URL")):
        assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1), done.stderr
        assert done.stderr.startswith(f"advisor: {name}: ")


def test_an_address_that_cannot_be_listened_on_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = advisor("api", "--port", port, "--workers", "0", data=tmp_path)
    assert (done.returncode, done.stderr.splitlines()) == (
        2,
        [f"advisor: --host, --port: 127.0.0.1:{port} cannot be listened on (Address already in use)."],
    )
    done = advisor("api", "--host", "300.1.1.1", data=tmp_path, ADVISOR_REQUIRE_KEYS="true")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "--host, --port: 300.1.1.1:8000 cannot be listened on" in done.stderr


def test_it_says_that_it_listens_once_it_does_and_where(tmp_path: Path) -> None:
    environment = {**os.environ, "ADVISOR_DATA": str(tmp_path)}
    command = [sys.executable, "-m", "api", "api", "--port", "0", "--workers", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stderr is not None
        said = next(line for line in process.stderr if "listens" in line)
        assert httpx.get(said.split()[-1] + "/health/live").status_code == 200
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 0
