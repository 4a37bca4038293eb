"""`python -m api` is `advisor`."""

from api.cli import main

main()
