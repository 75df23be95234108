"""What can be wrong with a server, told apart by what it means for a run."""

from iterdeploy.sections import UserError

ADVICE = (
    "Whole batches are stored: start the server again, or lower server.concurrency if it is overloaded, and call "
    "`iterdeploy resume`"
)


OF_ONE_REQUEST = {400, 413, 422}
"""Status codes by which a server refuses what is asked, and not whoever asks."""


class ServerError(UserError):
    """The server cannot be used: it is away, refuses whoever asks, or answers nobody."""


class ServerDied(ServerError):
    """A server that was started for the run ended by itself."""


class Refused(ServerError):
    """The server answered, and said no. `reason` says so without naming the server."""

    def __init__(self, address: str, path: str, status: int, said: str) -> None:
        self.reason = f"the server refused: status {status}: {said}"
        super().__init__(f"{address}{path}: {self.reason}")
        self.only_this_request = status in OF_ONE_REQUEST


class NoAnswer(ServerError):
    """The server has no usable answer to this request; `reason` says why without naming the server."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"{address}: {reason}. {ADVICE}")
        self.reason = reason


class Unusable(ValueError):
    """What the server sent is not an answer. Whoever reads replies raises it."""
