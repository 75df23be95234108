"""`iterdeploy pretrain`: makes an embedded base model from synthetic demonstrations."""

import argparse
from pathlib import Path

from iterdeploy.cli.common import quiet
from iterdeploy.config_file import find_config, load
from iterdeploy.wording import say


def pretrain(arguments: argparse.Namespace) -> int:
    from iterdeploy.pretraining.config import PretrainConfig
    from iterdeploy.pretraining.pretrain import pretrain as make

    quiet()
    config = load(PretrainConfig, find_config(arguments.config), arguments.set)
    say(make(config, arguments.out or Path("pretrained") / config.name))
    return 0
