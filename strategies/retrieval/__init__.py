"""Finding what helps to answer: passages of documents, and similar examples."""
