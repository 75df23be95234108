"""A small server of the completions protocol over the real embedded model, which can be told to misbehave.

It samples with the package's own in-process sampler, so what it returns is right, and what a client makes of it can be
held against the in-process sampler's answers.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from iterdeploy.config import RunConfig
from iterdeploy.models.chat import prompt_ids
from iterdeploy.models.loading import base_policy, model_folder
from iterdeploy.samplers.transformers import TransformersSampler
from iterdeploy.types import Completion, Policy

KEY = "a-key-that-nobody-may-see"
LOADING = threading.Lock()
"""Loading a model changes settings of the whole process, and several servers may be in one."""


@dataclass
class Server:
    address: str
    config: RunConfig
    models: dict[str, TransformersSampler]
    name: str
    """Of the base model."""
    failures: list[str] = field(default_factory=list)
    """What happens to the next requests: "429", "500", "400", "drop" or "slow"; then all goes well."""
    without: set[str] = field(default_factory=set)
    """What is left out of replies: "token_ids", "logprobs", "echo"."""
    stale: bool = False
    """Adapters are said to be loaded, and are not."""
    cooled: bool = False
    """Log-probabilities are reported at the temperature of sampling."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """Of the completions that were asked for."""
    keys: set[str] = field(default_factory=set)
    hurry: threading.Event = field(default_factory=threading.Event)
    """Ends what is slow."""
    meeting: threading.Barrier | None = None
    """Where requests wait for each other."""
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def serving(config: RunConfig, name: str = "embedded", port: int = 0) -> Iterator[Server]:
    handler = type("Handler", (_Handler,), {})
    http = ThreadingHTTPServer(("127.0.0.1", port), handler)
    http.daemon_threads = True
    http.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that hang up are part of the tests
    base = TransformersSampler(base_policy(model_folder(config.model)), config)
    with base:
        server = Server(f"http://127.0.0.1:{http.server_address[1]}/v1", config, {name: base}, name)
        handler.server_state = server  # type: ignore[attr-defined]
        thread = threading.Thread(target=http.serve_forever, args=[0.05])
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            http.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_state: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._reply(200, {"data": [{"id": name} for name in self.server_state.models]})

    def do_POST(self) -> None:
        state = self.server_state
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        state.keys.add(self.headers.get("Authorization", ""))
        if self.path.endswith("/load_lora_adapter"):
            return self._load(body)
        failure = state.failures.pop(0) if state.failures else ""
        if failure == "drop":
            self.close_connection = True
            self.connection.close()
            return None
        if failure == "slow":
            state.hurry.wait(60)
        elif failure:
            return self._reply(int(failure), {"error": f"told to fail; your key was {KEY}"}, {"Retry-After": "0"})
        with state.lock:
            state.at_once += 1
            state.most_at_once = max(state.most_at_once, state.at_once)
        if state.meeting is not None:
            with suppress(threading.BrokenBarrierError):
                state.meeting.wait(60)
        with state.lock:
            state.bodies.append(body)
            reply = {"model": body["model"], **(self._chat(body) if "messages" in body else self._complete(body))}
            state.at_once -= 1
        return self._reply(200, reply)

    def _load(self, body: dict[str, Any]) -> None:
        state = self.server_state
        base = state.models[state.name]
        name, folder = body["lora_name"], body["lora_path"]
        policy = Policy(name, 1, base._policy.base_model, None if state.stale else folder, True, None, None)
        with LOADING:
            state.models[name] = TransformersSampler(policy, state.config).__enter__()
        self._reply_text(f"Success: LoRA adapter '{name}' added successfully.")

    def _complete(self, body: dict[str, Any]) -> dict[str, Any]:
        state, sampler = self.server_state, self.server_state.models[body["model"]]
        if body.get("echo"):
            ids = body["prompt"]
            if "echo" in state.without:
                return {"choices": [{"text": "", "finish_reason": "length"}]}
            (scored,) = sampler.logprobs([(ids[:1], ids[1:])]) or [[]]
            return {
                "choices": [
                    {"text": "", "finish_reason": "length", "logprobs": {"token_logprobs": [None, *scored, -1]}}
                ]
            }
        said = self._sample(sampler, body["prompt"], body)
        choice: dict[str, Any] = {"text": said.text, "finish_reason": said.finish_reason}
        if "token_ids" not in state.without:
            choice["token_ids"] = said.token_ids
        if "logprobs" not in state.without:
            share = 1 / body["temperature"] if state.cooled else 1.0
            choice["logprobs"] = {"token_logprobs": [share * one for one in said.logprobs or ()]}
        return {"choices": [choice]}

    def _chat(self, body: dict[str, Any]) -> dict[str, Any]:
        sampler = self.server_state.models[body["model"]]
        here = sampler._here
        ids = prompt_ids(here.tokenizer, body["messages"][0]["content"], self.server_state.config.model)
        said = self._sample(sampler, ids, body)
        thought, end, rest = said.text.partition("</think>\n")
        message = {"content": said.text}
        if end:
            message = {"content": rest, "reasoning_content": thought.removeprefix("<think>\n")}
        return {"choices": [{"message": message, "finish_reason": said.finish_reason}]}

    def _sample(self, sampler: TransformersSampler, ids: list[int], body: dict[str, Any]) -> Completion:
        sampling = self.server_state.config.sampling.model_copy(
            update={"temperature": body["temperature"], "max_new_tokens": body["max_tokens"]}
        )
        sampler._config = self.server_state.config.model_copy(update={"sampling": sampling})
        (said,) = sampler.sample_ids([ids], body["seed"])
        return said

    def _reply(self, status: int, value: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(value).encode(), headers or {})

    def _reply_text(self, text: str) -> None:
        self._send(200, text.encode(), {})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
