"""Whatever is sent, the service answers as its OpenAPI document says, and never with a failure of its own.

By default a few cases an operation; ADVISOR_FUZZ_CASES=400 makes more than 5,000 in all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import create_app
from api.routes.comparisons import LONGEST_WAIT
from api.settings import Settings
from api.tables import State

CASES = int(os.environ.get("ADVISOR_FUZZ_CASES", "15"))
SECONDS = 120
"""The first audit starts a process."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
BODY = {
    "task": "Route.",
    "examples": [{"input": f"case {i}", "output": "ab"[i % 2]} for i in range(24)],
    "strategies": ["majority"],
}


@pytest.fixture(scope="module")
def app(
    tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path, tiny_embedder_folder: Path
) -> Iterator[FastAPI]:
    """The service with one comparison that waits and one that succeeded."""
    app = create_app(
        Settings(
            data=tmp_path_factory.mktemp("fuzz"),
            models={"smollm2-135m-instruct": str(tiny_model_folder)},
            embedders={"all-minilm-l6-v2": str(tiny_embedder_folder)},
            device="cpu",
            requests_per_minute=10**9,
            most_waiting=10**9,
        )
    )
    with TestClient(app, base_url="http://127.0.0.1") as client:
        done = client.post("/v1/comparisons", json=BODY).json()["id"]
        store = app.state.services.store
        lease = store.lease(60, 3)
        store.strategy_done(lease, "majority", {"outcome": "ok", "quality": 0.5})
        advice = {"strategy": "majority", "verdict": "clear", "headline": "Use it."}
        store.end(lease, State.SUCCEEDED, recommendation=advice)
        waiting = client.post("/v1/comparisons", json=BODY).json()["id"]
        app.state.known_ids = [done, waiting]
        yield app


@pytest.fixture(scope="module")
def schema(app: FastAPI) -> Any:
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers={"host": "127.0.0.1"})

    @schema.hook
    def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> Any:
        """Half of the ids are those of comparisons that are there."""
        if path_parameters and len(str(path_parameters.get("id"))) % 2:
            path_parameters["id"] = app.state.known_ids[len(str(path_parameters["id"])) // 2 % 2]
        return path_parameters

    @schema.hook
    def map_query(context: Any, query: dict[str, Any] | None) -> Any:
        """Nobody waits for long."""
        if query and isinstance(query.get("wait"), int | float) and 0 < query["wait"] <= LONGEST_WAIT:
            query["wait"] = 0.01
        return query

    return schema


STREAMS = "/v1/comparisons/{id}/events"
"""Has no end while a comparison runs: tested by itself."""


def test_every_answer_is_as_documented(schema: Any) -> None:
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 15
    for operation in operations:
        if operation.path != STREAMS:
            _fuzz(operation)


def _fuzz(operation: Any) -> None:
    @settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(case=operation.as_strategy())
    def answered_as_documented(case: Any) -> None:
        case.call_and_validate(checks=CHECKS, headers={"host": "127.0.0.1"}, timeout=SECONDS)

    answered_as_documented()


def test_the_document_is_complete(app: FastAPI) -> None:
    document = TestClient(app, base_url="http://127.0.0.1").get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description"), (method, path)
            if path.startswith("/v1/"):
                everywhere = {"400", "401", "429", "503"} | ({"403", "413"} if method in ("post", "delete") else set())
                assert everywhere <= set(operation["responses"]), (method, path)
                for status, response in operation["responses"].items():
                    if status.startswith("4"):
                        assert list(response["content"]) == ["application/problem+json"], (method, path, status)
    body = document["paths"]["/v1/comparisons"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "multipart/form-data"}
    assert all("example" in media for media in body.values())
