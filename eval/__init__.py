"""What is measured and how: contracts, reading, folds, metrics, harness, statistics.

This package knows nothing of models, strategies or decisions.
"""
