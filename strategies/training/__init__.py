"""Training of language models, by adapters or as a whole, and of embedders."""
