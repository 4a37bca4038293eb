"""Every error that a user can meet.

    AdvisorError                 anything this project raises on purpose
    ├── RequestError             the request or the data cannot be used (exit status 2)
    │   ├── FolderBusy           another process is at work in the run folder
    │   └── ModelUnavailable     a model is not on this machine, or is not what it should be
    ├── NotApplicable            a strategy that cannot work on this task (recorded, not a failure)
    └── InfrastructureError      a time-out or a server's failure: the row stays unscored
        └── LastingFailure       one that asking again will not mend

The message of each is one sentence or two: what is wrong, then what to do about it.
"""


class AdvisorError(Exception):
    """Base of all errors raised on purpose."""


class RequestError(AdvisorError):
    """The request or the data cannot be used; the message names the file, row, flag or field."""


class FolderBusy(RequestError):
    """Another process is at work in the run folder; it may be free again soon."""


class ModelUnavailable(RequestError):
    """A model is missing, or is not what the catalogue says; the message says how to fetch it."""


class NotApplicable(AdvisorError):
    """A strategy does not apply to this task; the message is the reason shown in the report."""


class InfrastructureError(AdvisorError):
    """A failure that says nothing about the answer's quality, such as a time-out."""


class LastingFailure(InfrastructureError):
    """One that asking again, after a wait, will not mend: a spending cap that is reached."""


def first_line(error: BaseException) -> str:
    """The first line of what an error says, to stand in a sentence; the name of its type where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def brief(error: BaseException) -> str:
    """The first line, short enough to stand inside a sentence."""
    return first_line(error)[:120].rstrip(".:")
