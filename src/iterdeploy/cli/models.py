"""`iterdeploy models`: lists the embedded models."""

import argparse

from iterdeploy.wording import say


def models(arguments: argparse.Namespace) -> int:
    from iterdeploy.models.loading import context_length, embedded_models

    for name, folder in embedded_models().items():
        megabytes = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e6
        say(f"{name}  {megabytes:.1f} MB, context {context_length(folder)} tokens, {folder}")
    return 0
