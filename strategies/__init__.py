"""Ways of adapting a language model to a task, each of which makes a `Solution`.

This package knows nothing of decisions, reports or HTTP.
"""
