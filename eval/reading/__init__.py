"""Reading the client's files: tables in any usual format, examples, documents."""
