"""The published schema is the one that reports follow."""

import json
from pathlib import Path

from advisor.report.schema import Report


def test_published_schema_is_up_to_date() -> None:
    published = Path(__file__).parents[3] / "docs" / "report.schema.json"
    assert json.loads(published.read_text()) == Report.model_json_schema(), "run `make schema`"
