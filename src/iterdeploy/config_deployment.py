"""The section [deployment] of a configuration: the terms on which a live deployment answers, trains and lets a new
generation serve."""

import re

from pydantic import Field, field_validator

from iterdeploy.sections import Section


class DeploymentConfig(Section):
    """Of a live deployment (`iterdeploy serve`), in which people and programs ask, and say what is worth publishing."""

    store: str = ""
    """A PostgreSQL database, such as "postgresql://db.example.org/iterdeploy", in which several gateways keep what they
    answer and what is decided. User and password come from PGUSER, PGPASSWORD or ~/.pgpass. Empty: a file in the
    deployment's folder, for one gateway."""
    held_out_traffic: float = Field(0.1, ge=0, lt=1)
    """Share of the prompts, by their hash, whose answers never train: they only measure."""
    train: bool = True
    """Whether an answer may train where neither the request nor its key says."""
    retention_days: int = Field(0, ge=0, le=36_500)
    """Days after which an answer is deleted, where neither the request nor its key says; 0: never."""
    redact: str = ""
    """A function from text to text that takes personal data out of what is stored: "path/to/file.py:function"."""
    models: int = Field(3, gt=0, le=100)
    """Generations that are held in memory at once by the model in this process."""
    max_body: int = Field(1_000_000, ge=1_000, le=1_000_000_000)
    """Bytes of a request."""
    request_seconds: float = Field(30.0, gt=0, le=3600)
    """Seconds in which a request must have arrived, its headers as well as its body."""
    requests_per_minute: int = Field(6000, gt=0, le=10_000_000)
    """Of one key, or of all who ask without one."""
    waiting: int = Field(256, gt=0, le=1_000_000)
    """Answers that may be under way at once; a further request is asked to come back later."""
    margin: float = Field(0.05, ge=0, le=1)
    """The gate: a new generation is promoted only if its held-out coverage is, with 95% confidence, not lower by more
    than this than that of the promoted one."""
    max_drift: float = Field(1.0, gt=0, le=1e6)
    """The gate: nats per token by which the new generation may be away from generation 0."""
    max_warnings: int = Field(0, ge=0, le=1000)
    """The gate: warnings of the audit that are accepted."""
    advance_at: int = Field(0, ge=0, le=1_000_000_000)
    """New published answers at which the gateway makes the next generation by itself; 0: never."""
    advance_daily: str = ""
    """Time of day in UTC, such as "03:30", at which the gateway makes the next generation by itself if anything was
    published since the last; empty: never."""

    @field_validator("store")
    @classmethod
    def _names_a_database_and_no_password(cls, address: str) -> str:
        if address and not re.match("postgres(ql)?://", address):
            raise ValueError('the address of a database begins with "postgresql://"')
        if "@" in address or "password" in address:
            raise ValueError(
                "the address of a database, which is saved with the run, may hold neither user nor password: put them "
                "into PGUSER and PGPASSWORD, or into ~/.pgpass"
            )
        return address

    @field_validator("advance_daily")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        if text and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?", text, re.ASCII):
            raise ValueError(f'a time of day reads like "03:30", or "03:30:15" with seconds, not {text!r}')
        return text
