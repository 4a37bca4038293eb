"""The service. Nothing is served yet; the command line and `advisor.compare` do the whole job."""
