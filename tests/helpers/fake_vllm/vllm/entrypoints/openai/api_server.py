"""Stands for vLLM where it is not installed: the same command line, the embedded model behind it, a child process."""

import argparse
import subprocess
import sys
import time

from helpers.completions import serving
from helpers.support import config_with

parser = argparse.ArgumentParser()
for name in ("model", "served-model-name", "dtype", "host", "seed", "max-num-seqs", "generation-config"):
    parser.add_argument(f"--{name}", required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--logprobs-mode", choices=["raw_logprobs"], required=True)
parser.add_argument("--enable-lora", action="store_true")
parser.add_argument("--max-lora-rank")
parser.add_argument("--fail", action="store_true")
arguments = parser.parse_args()
if arguments.fail:
    print("this is line one")
    sys.exit("there is not enough memory for the cache")
subprocess.Popen([sys.executable, "-c", f"import time; time.sleep(600)  # --port {arguments.port} "])
config = config_with({"model.name": arguments.model, "model.dtype": arguments.dtype})
with serving(config, arguments.served_model_name, arguments.port):
    time.sleep(600)
