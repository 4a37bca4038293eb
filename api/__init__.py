"""The service: comparisons over HTTP and in a browser, carried out by workers that lose nothing when killed."""
