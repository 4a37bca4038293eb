"""Linear classifiers over fixed features."""

from __future__ import annotations

import warnings

from eval.contracts import Example
from strategies.linear_classifier import LinearClassifier, TfidfFeatures


def test_nearly_as_many_labels_as_rows_are_fitted_without_a_librarys_warning() -> None:
    rows = [Example(str(i), f"word{i % 20} more", (f"label {i % 20}",)) for i in range(30)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier = LinearClassifier.fit(TfidfFeatures.fit([e.input for e in rows]), rows, 10.0)
    assert classifier.predict(["word3 more"])[0].text == "label 3"
