"""The recommendation report: its schema, and how it is shown."""
