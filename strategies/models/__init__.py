"""Language models and embedders: what strategies ask of them, and the backends that answer."""
