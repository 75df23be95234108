"""Uploading an exported folder to the Hugging Face Hub. The key is the one of `hf auth login` or HF_TOKEN."""

import re
from pathlib import Path

from iterdeploy.export import ExportError
from iterdeploy.redaction import without_keys
from iterdeploy.sections import ConfigError


def check_push(name: str) -> None:
    """ConfigError if nothing can be uploaded under that name from here."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise ConfigError(f"--push {name}: write it as OWNER/NAME")
    from huggingface_hub import get_token

    if get_token() is None:
        raise ConfigError("--push: you are not logged in; `hf auth login` does it, or set HF_TOKEN")


def push(folder: Path, name: str, kind: str) -> str:
    """Uploads the folder into the repository `name`, made as a private one if it is not there; its address. `kind` is
    "model" or "dataset"."""
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        address = api.create_repo(name, repo_type=kind, private=True, exist_ok=True)
        api.upload_folder(repo_id=name, repo_type=kind, folder_path=folder, commit_message="iterdeploy export")
    except Exception as error:  # of the HTTP library that this version of the client happens to use
        why = without_keys(str(error))
        raise ExportError(f"{folder} is finished, but could not be uploaded to {name}: {why}") from None
    return str(address)
