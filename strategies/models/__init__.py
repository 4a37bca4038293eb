"""Language models and embedders: what strategies ask of them (`base`), and the backends that answer.

`transformers_lm` answers by the passes of `engine`, `hosted` through a server; `shelf` loads what `catalogue` knows.
"""
