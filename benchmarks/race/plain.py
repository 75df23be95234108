"""A generation of `planted-slips` as a plain script: transformers' generate, VAL, and TRL with its defaults.

    python benchmarks/race/plain.py TASKS MODEL OUT --val PATH/Validate

TASKS: JSON lines with split, prompt, domain and problem (`race.py` writes them). What stands in OUT is not done again.
Nothing of iterdeploy is used.
"""

import argparse
import json
import re
import subprocess
import tempfile
from pathlib import Path

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

BATCH, SAMPLES, NEW_TOKENS = 200, 2, 320


def sample(model, tokenizer, tasks):
    """(task, ids of the prompt, ids of the answer) of every sample, tasks of like length together."""
    asked = sorted([task for task in tasks for _ in range(samples(task))], key=lambda task: len(task["prompt"]))
    for start in range(0, len(asked), BATCH):
        batch = asked[start : start + BATCH]
        given = tokenizer([task["prompt"] for task in batch], return_tensors="pt", padding=True,
                          add_special_tokens=False, return_token_type_ids=False)  # fmt: skip
        with torch.inference_mode():
            out = model.generate(**given, do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
                                 max_new_tokens=NEW_TOKENS, pad_token_id=tokenizer.pad_token_id)  # fmt: skip
        for task, mask, row in zip(batch, given.attention_mask, out, strict=True):
            ids = row.tolist()
            prompt, answer = ids[len(mask) - int(mask.sum()) : len(mask)], ids[len(mask) :]
            if tokenizer.eos_token_id in answer:
                answer = answer[: answer.index(tokenizer.eos_token_id) + 1]
            yield task, prompt, answer


def samples(task):
    return SAMPLES if task["split"] == "deployed" else 1


def valid_plan(task, text, validate, folder):
    """The plan's length, or None."""
    found = re.search(r"<plan>\n(.*?)</plan>", text, re.DOTALL)
    if found is None:
        return None
    for name, content in (("domain", task["domain"]), ("problem", task["problem"]), ("plan", found[1])):
        (folder / name).write_text(content)
    said = subprocess.run([validate, folder / "domain", folder / "problem", folder / "plan"], capture_output=True)
    return len(found[1].splitlines()) if said.returncode == 0 and b"Plan valid" in said.stdout else None


def answer(model_folder, tasks, validate, out):
    """The judged answers of one generation, in a file."""
    if not out.exists():
        tokenizer = AutoTokenizer.from_pretrained(model_folder, padding_side="left")
        model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32).eval()
        rows = []
        with tempfile.TemporaryDirectory() as folder:
            for task, prompt, ids in sample(model, tokenizer, tasks):
                ended = ids[-1] == tokenizer.eos_token_id
                length = valid_plan(task, tokenizer.decode(ids), validate, Path(folder)) if ended else None
                rows.append({"id": task["id"], "split": task["split"], "prompt": prompt, "ids": ids, "plan": length})
        out.with_suffix(".part").write_text("".join(json.dumps(row) + "\n" for row in rows))
        out.with_suffix(".part").rename(out)
    return [json.loads(line) for line in out.read_text().splitlines()]


def train(model_folder, rows, out, epochs):
    """On the shortest valid plan of each deployed task, the loss on the answer alone."""
    best = {}
    for row in rows:
        if row["split"] == "deployed" and row["plan"] and row["plan"] < best.get(row["id"], {"plan": 10**6})["plan"]:
            best[row["id"]] = row
    data = [{"input_ids": row["prompt"] + row["ids"], "labels": [-100] * len(row["prompt"]) + row["ids"]}
            for row in best.values()]  # fmt: skip
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32),
        args=SFTConfig(output_dir=str(out), per_device_train_batch_size=20, num_train_epochs=epochs, learning_rate=1e-3,
                       max_length=None, use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none",
                       save_strategy="no"),
        train_dataset=Dataset.from_list(data),
        processing_class=AutoTokenizer.from_pretrained(model_folder),
    )  # fmt: skip
    trainer.train()
    trainer.save_model(str(out))
    (out / "done").touch()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--val", required=True)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    tasks = [json.loads(line) for line in arguments.tasks.read_text().splitlines()]
    torch.manual_seed(arguments.seed)
    rows = answer(arguments.model, tasks, arguments.val, arguments.out / "answers-0.jsonl")
    if not (arguments.out / "model" / "done").exists():
        train(arguments.model, rows, arguments.out / "model", arguments.epochs)
    after = answer(arguments.out / "model", tasks, arguments.val, arguments.out / "answers-1.jsonl")
    for name, found in (("before", rows), ("after", after)):
        held_out = [row["plan"] is not None for row in found if row["split"] == "held_out"]
        print(json.dumps({name: sum(held_out) / len(held_out)}), flush=True)


if __name__ == "__main__":
    main()
