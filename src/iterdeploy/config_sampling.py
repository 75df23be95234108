"""The sections of a configuration that say how answers are sampled: by whom, how warm, on which servers or nodes."""

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from iterdeploy.sections import Section


class SamplingConfig(Section):
    sampler: str = "transformers"
    """Where completions come from: "transformers", in this process; "vllm", a server that is started for each sampling
    phase; "openai", a running server of that protocol (for both see [server]); or a class of your own, as in
    tasks.kind."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Keys of a sampler of your own."""
    samples: int = Field(1, gt=0, le=100_000)
    """Samples per deployed task and generation."""
    held_out_samples: int = Field(1, gt=0, le=100_000)
    """Samples per held-out task and generation."""
    temperature: float = Field(1.0, ge=0.01, le=100)
    top_p: float = Field(1.0, gt=0, le=1)
    """Only the likeliest tokens that have this much probability together are sampled from; 1: all. As with `top_k`,
    the log-probabilities that are recorded stay those of the whole distribution, so importance weights need 1."""
    top_k: int = Field(0, ge=0, le=10_000_000)
    """Only so many of the likeliest tokens are sampled from; 0: all."""
    max_new_tokens: int = Field(512, gt=0, le=10_000_000)
    """Tokens that one call of the model may sample."""
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = Field((), strict=False)
    """For "transformers": texts that end an answer, such as ["</plan>"], for models that go on after it. The text stays
    in the answer, and the trace has no end mark."""
    max_turns: int = Field(16, gt=0, le=10_000)
    """In an environment: calls of the model in one episode, which has failed if it is not done then."""
    max_episode_tokens: int = Field(0, ge=0, le=100_000_000)
    """In an environment: tokens of a whole episode, sent and sampled; it is truncated before a call that might go
    beyond. 0: as many as the model's context holds."""
    batch_size: int = Field(128, gt=0, le=1_000_000)
    """Sequences sampled together; also the unit that is written to the store at once. A server is not held up by the
    end of a batch: there, small batches only mean that less is lost when a run dies."""
    processes: int = Field(0, ge=0, le=1024)
    """For "transformers": processes of this machine that sample, each with `model.threads` threads and the whole model.
    The answers are the same bits whatever their number. 0: as many as the cores allow, once there is enough to do."""
    max_truncated: float = Field(0.9, ge=0, le=1)
    """The run stops when a larger share of a generation's samples is truncated."""
    max_errors: float = Field(0.1, ge=0, le=1)
    """The run stops before a larger share of a generation's answers is an ERROR of the validator or of a server."""

    @property
    def narrowed(self) -> bool:
        """Whether some tokens are never sampled, as unlikely as they are."""
        return self.top_p < 1 or self.top_k > 0


class EvaluationConfig(Section):
    """Held-out tasks asked again at other temperatures, only to measure; `iterdeploy measure` adds others later."""

    temperatures: tuple[Annotated[float, Field(ge=0, le=100)], ...] = Field((), strict=False)
    """Such as [0.0, 0.6]; 0: the likeliest token at every step. Each costs an answer to every held-out task."""
    samples: int = Field(1, gt=0, le=100_000)
    """Answers to each held-out task at each of them; at 0 one, as all would be the same."""

    @field_validator("temperatures")
    @classmethod
    def _temperatures_can_be_sampled(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if low := [value for value in values if 0 < value < 0.01]:
            raise ValueError(f"a temperature must be 0 or at least 0.01, not {low[0]:g}")
        return values


class ServerConfig(Section):
    """For sampling.sampler = "openai" and "vllm". Keys are never written here: they are in an environment variable."""

    address: str = ""
    """For "openai": where the server is, such as "http://127.0.0.1:8000/v1"; empty: ITERDEPLOY_ADDRESS says it, or
    several, separated by commas."""
    addresses: tuple[str, ...] = Field((), strict=False)
    """For "openai", instead of `address`: several servers of the same model. Each request goes to the one with the
    fewest under way, and to another one if its server fails."""
    model: str = ""
    """For "openai": the name under which the server has the base model; empty: the first one that it lists."""
    api: Literal["completions", "chat"] = "completions"
    """For "openai": "completions" sends token ids and gets what was sampled; "chat" is for servers that offer nothing
    else: their traces are re-tokenised and have no log-probabilities."""
    key_variable: str = ""
    """For "openai": the environment variable that holds the key; empty: ITERDEPLOY_API_KEY, else OPENAI_API_KEY."""
    concurrency: int = Field(64, gt=0, le=10_000)
    """Requests that are under way at once, at each server."""
    timeout: float = Field(1800.0, gt=0, le=1e6)
    """Seconds that one whole answer may take, its time in the server's queue included; in proportion more where
    sampling.max_new_tokens is above 8,192. For "vllm" its start may take as long, and at least 1,800."""
    retries: int = Field(6, ge=0, le=1000)
    """Further tries of a request after a broken connection, an answer that cannot be used, or status 408, 429 or 5xx.
    An answer that took too long is asked for once more."""
    restarts: int = Field(3, ge=0, le=1000)
    """For "vllm": how often a server that ends by itself is started again in one sampling phase."""
    python: str = ""
    """For "vllm": the interpreter that has vllm; empty: that of ITERDEPLOY_VLLM_PYTHON, else the one that runs this."""
    arguments: tuple[str, ...] = Field((), strict=False)
    """For "vllm": further arguments of its server, such as ["--max-model-len", "32768"]."""

    @field_validator("address")
    @classmethod
    def _address_is_one(cls, value: str) -> str:
        return checked_address(value) if value else value

    @field_validator("addresses")
    @classmethod
    def _addresses_are_some(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        checked = tuple(map(checked_address, values))
        if twice := [value for value in checked if checked.count(value) > 1]:
            raise ValueError(f"{twice[0]} is named twice")
        return checked

    @model_validator(mode="after")
    def _one_key_says_where(self) -> Self:
        if self.address and self.addresses:
            raise ValueError("address names one server and addresses several: leave one of the two keys out")
        return self

    @property
    def everywhere(self) -> tuple[str, ...]:
        """The addresses of all servers that are named."""
        return self.addresses or ((self.address,) if self.address else ())


class ClusterConfig(Section):
    """Which machines sample and train. What they are asked for must be there when a run starts."""

    engine: Literal["local", "ray"] = "local"
    """"local": this machine. "ray": the nodes of a Ray cluster (extra "ray"), while this process judges, stores and
    measures; for sampling.sampler = "transformers"."""
    address: str = "auto"
    """Which cluster: "auto", the one that this machine belongs to, or that RAY_ADDRESS names; "local", one that is
    started for the run, of this machine alone; "HOST:PORT", that of a head node, from one of its nodes;
    "ray://HOST:PORT", from outside."""
    samplers: int = Field(0, ge=0, le=100_000)
    """Processes that sample, each with `model.threads` threads and the whole model; 0: as many as the nodes have room
    for."""
    cpus_per_sampler: float = Field(1.0, gt=0, le=1024)
    gpus_per_sampler: float = Field(0.0, ge=0, le=64)
    """Of one node. As for Ray, a share of one GPU or a number of whole ones."""
    cpus_for_training: float = Field(0.0, ge=0, le=1024)
    gpus_for_training: float = Field(0.0, ge=0, le=64)
    """Of the one node that trains, in `training.processes` processes; both 0: what a sampler has."""
    restarts: int = Field(10, ge=0, le=1_000_000)
    """How often, in one phase of sampling or training, a process that was lost is replaced by a new one."""

    @field_validator("address")
    @classmethod
    def _address_is_one(cls, value: str) -> str:
        if not re.fullmatch(r"auto|local|(ray://)?[^/\s@?#:]+:\d{1,5}", value):
            raise ValueError('an address reads "auto", "local", "10.0.0.5:6379" or "ray://10.0.0.5:10001"')
        return value

    @field_validator("gpus_per_sampler", "gpus_for_training")
    @classmethod
    def _gpus_are_whole(cls, value: float) -> float:
        if value > 1 and value != int(value):
            raise ValueError(f"several GPUs are a whole number of them, not {value:g}")
        return value


def checked_address(value: str) -> str:
    """Without a slash at the end. ValueError if it is none, or holds a password."""
    if not re.fullmatch(r"https?://[^/\s@?#]+(/[^\s@?#]*)?", value):
        raise ValueError('an address reads like "http://127.0.0.1:8000/v1", without a key or a password in it')
    try:
        _ = urlsplit(value).port
    except ValueError:
        raise ValueError("the port of an address must be a number up to 65535") from None
    return value.rstrip("/")
