"""Reading, writing and weighing tokens with a causal network: batches, attention, searches over labels and answers."""
