"""Whether a run's configuration may start programs: it may where this user wrote it on this machine.

A run's folder can come from anywhere, and its configuration can name programs. Then the folder has a file "mark": the
HMAC of its config.toml under a key that only this user has, outside of all runs. Without the right mark such a run goes
on only with `--trust`, which marks it.
"""

import hmac
import os
import secrets
from hashlib import sha256
from pathlib import Path

from iterdeploy.config import RunConfig
from iterdeploy.config_file import load_config
from iterdeploy.record.files import RunDirError, refuse_links, write_text
from iterdeploy.record.seals import check_text

MARK = "mark"
KEY_BYTES = 32


def what_it_would_execute(config: RunConfig) -> list[str]:
    """In words: the code that the configuration has run, and where it sends this user's keys."""
    found = []
    if config.model.trust_remote_code:
        found.append(f"the Python files in the folder of the model {config.model.name} (model.trust_remote_code)")
    if config.validation.val_path and config.validation.validator != "iterdeploy":
        found.append(f"the program {config.validation.val_path} (validation.val_path)")
    named = {
        "tasks.kind": [config.tasks.kind],
        "sampling.sampler": [config.sampling.sampler],
        "training.trainer": [config.training.trainer],
        "curation.policies": config.curation.policies,
        "deployment.redact": [config.deployment.redact] if config.deployment else [],
    }
    for key, names in named.items():
        if own := [name for name in names if ":" in name]:
            found.append(f"the Python code of {', '.join(own)} ({key})")
    if config.deployment and config.deployment.store:
        found.append(f"the database {config.deployment.store}, as this user (deployment.store)")
    server = config.server
    if config.sampling.sampler == "vllm" and (server.python or server.arguments):
        words = " ".join([server.python or "vLLM", *server.arguments])
        found.append(f"the server {words} (server.python, server.arguments)")
    if config.sampling.sampler == "openai" and server.everywhere:
        variable = server.key_variable or "ITERDEPLOY_API_KEY or OPENAI_API_KEY"
        found.append(
            f"requests to {', '.join(server.everywhere)}, with the key in {variable} (server.address, "
            "server.addresses, server.key_variable)"
        )
    if config.mirror.url:
        found.append(f"copies of the run to {config.mirror.url}, with this user's access (mirror.url)")
    return found


def trusted_config(folder: Path, trust: bool = False) -> RunConfig:
    """The configuration of the run in the folder. RunDirError if it is damaged, or if it would execute something that
    this user neither wrote nor trusts."""
    refuse_links(folder)
    saved = folder / "config.toml"
    check_text(saved)
    config = load_config(saved)
    code = what_it_would_execute(config)
    if code and not trust and not is_marked(folder):
        raise RunDirError(
            f"{folder}: this run was not started by this user on this machine, and its configuration asks for "
            f"{'; '.join(code)}. Nothing was run: look at {saved}, and add --trust if you trust it"
        )
    return config


def write_mark(folder: Path, config: RunConfig, text: str) -> None:
    """Marks a configuration that would execute something as this user's. `text`: the content of its config.toml."""
    if what_it_would_execute(config) and (mark := _mark(text.encode())):
        write_text(folder / MARK, mark + "\n")


def is_marked(folder: Path) -> bool:
    """Whether this user wrote, or trusts, the configuration that lies there."""
    mark = _mark((folder / "config.toml").read_bytes())
    return mark is not None and (folder / MARK).is_file() and (folder / MARK).read_bytes() == f"{mark}\n".encode()


def _mark(config: bytes) -> str | None:
    """None where this user's key can be neither read nor made."""
    key = _key()
    return hmac.new(key, config, sha256).hexdigest() if key else None


def _key() -> bytes | None:
    """Made when it is first needed."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    path = Path(state) / "iterdeploy" / "key"
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(secrets.token_hex(8))
            handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(handle, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
            unfinished.rename(path)
        key = path.read_bytes()
    except OSError:
        return None
    return key if len(key) == KEY_BYTES else None
