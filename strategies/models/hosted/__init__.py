"""Models behind an OpenAI-compatible endpoint: asking, waiting, refusals, and what it all costs."""
