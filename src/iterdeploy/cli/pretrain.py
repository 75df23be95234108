"""`iterdeploy pretrain`: makes an embedded base model from synthetic demonstrations."""

import argparse
from pathlib import Path

from iterdeploy.cli.common import quiet
from iterdeploy.config_file import check, find_config, read_toml


def pretrain(arguments: argparse.Namespace) -> int:
    from iterdeploy.pretraining.config import PretrainConfig
    from iterdeploy.pretraining.pretrain import pretrain as make

    quiet()
    path = find_config(arguments.config)
    config = check(PretrainConfig, read_toml(path), arguments.set, str(path))
    print(make(config, arguments.out or Path("pretrained") / config.name))
    return 0
