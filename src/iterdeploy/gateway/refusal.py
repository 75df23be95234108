"""Why a request is not answered, as a status code and words."""

from collections.abc import Mapping


class Refusal(Exception):
    """What the client gets instead of an answer. `code` is for programs, the message for people."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})


def too_slow(seconds: float) -> Refusal:
    return Refusal(408, "too_slow", f"the request took longer than {seconds:g} seconds to arrive")
