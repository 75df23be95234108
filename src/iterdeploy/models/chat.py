"""From a task's prompt to the token ids that a model is asked with, and from the ids that it sampled to a completion.

The same for every sampler, in this process or behind a server: the model's own chat template renders the prompt, ids
are kept as they were sampled, and text is only ever made from ids, never the other way round.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iterdeploy.config import ModelConfig
from iterdeploy.sections import ConfigError
from iterdeploy.types import Completion, Conversation, Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ROLES = ("user", "assistant")
THINK_END = "</think>"
ANSWER = "@answer@"
"""Stands for an answer while a template is looked at."""
TAGS = ("<think>", THINK_END, "<plan>", "</plan>")
"""What is read in an answer; a tokenizer may have them as special tokens, and they stay in the text all the same."""


def has_template(folder: Path) -> bool:
    """Whether the model in `folder` brings a chat template. Looks at files only."""
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    path = folder / "tokenizer_config.json"
    return path.is_file() and bool(json.loads(path.read_text(encoding="utf-8")).get("chat_template"))


def uses_template(config: ModelConfig, folder: Path) -> bool:
    """Whether prompts go through the chat template. ConfigError if they are to and there is none."""
    there = has_template(folder)
    if config.chat == "always" and not there:
        raise ConfigError(f'model.chat = "always", but {folder} has no chat template; set model.chat = "auto"')
    return there and config.chat != "never"


def load_tokenizer(folder: Path, config: ModelConfig) -> "PreTrainedTokenizerBase":
    from transformers import AutoTokenizer

    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=config.trust_remote_code
    )
    return tokenizer


def prompt_ids(tokenizer: "PreTrainedTokenizerBase", prompt: Prompt, config: ModelConfig) -> list[int]:
    """The ids that the model is asked with: the prompt as it stands, or as turns of the chat template.

    A conversation goes on from the very ids that were sent and sampled before: only its new message is rendered, so the
    model sees its earlier turns as it wrote them, its reasoning included.
    """
    if isinstance(prompt, Conversation) and prompt.calls:
        last = prompt.calls[-1]
        added = _next_turn(tokenizer, prompt.messages[-1], last, config)
        return [*last.prompt_token_ids, *last.token_ids, *text_ids(tokenizer, added)]
    if not renders(tokenizer, config):
        return text_ids(tokenizer, plain_text(prompt, config))
    return conversation_ids(tokenizer, chat_messages(prompt), config)


def plain_text(prompt: Prompt, config: ModelConfig) -> str:
    """What a model without a chat template reads before its first call: the system text, each demonstration, and the
    task, with an empty line between them."""
    asked = prompt if isinstance(prompt, Conversation) else Conversation((prompt,))
    before = [config.system] if config.system else []
    before += [example.prompt + example.answer for example in asked.shown]
    return "".join(f"{text}\n\n" for text in before) + asked.messages[0]


def renders(tokenizer: "PreTrainedTokenizerBase", config: ModelConfig) -> bool:
    """Whether prompts go through the model's chat template."""
    return config.chat != "never" and bool(tokenizer.chat_template)


def conversation_ids(
    tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Mapping[str, str]], config: ModelConfig
) -> list[int]:
    """The ids of a conversation whose next turn is the model's, by its chat template."""
    return text_ids(tokenizer, _rendered(tokenizer, with_system(messages, config), config))


def with_system(messages: Sequence[Mapping[str, str]], config: ModelConfig) -> list[Mapping[str, str]]:
    """The conversation after `model.system`, unless it brings a system message itself."""
    own = [message for message in messages[:1] if message["role"] == "system"]
    return [*([{"role": "system", "content": config.system}] if config.system and not own else []), *messages]


def chat_messages(prompt: Prompt) -> list[dict[str, str]]:
    """The prompt as a chat: what was sent is the user's, what was shown or sampled the assistant's."""
    asked = prompt if isinstance(prompt, Conversation) else Conversation((prompt,))
    said = [(example.prompt, example.answer) for example in asked.shown]
    said += [(message, call.text) for message, call in zip(asked.messages, asked.calls, strict=False)]
    turns = [{"role": role, "content": text} for pair in said for role, text in zip(ROLES, pair, strict=True)]
    return [*turns, {"role": ROLES[0], "content": asked.messages[-1]}]


def _next_turn(tokenizer: "PreTrainedTokenizerBase", message: str, last: Completion, config: ModelConfig) -> str:
    """The text between the last sampled token and the model's next turn."""
    if not renders(tokenizer, config):
        return message
    answer = {"role": "assistant", "content": ANSWER}
    chat = [{"role": "user", "content": "?"}, answer, {"role": "user", "content": message}]
    rest = str(_rendered(tokenizer, chat, config)).partition(ANSWER)[2]
    return rest.removeprefix(_decode(tokenizer, last.token_ids[-1:])) if last.finish_reason == "stop" else rest


def _rendered(tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Mapping[str, str]], config: ModelConfig) -> Any:
    """A conversation in the model's template, up to where the model goes on."""
    from jinja2 import TemplateError

    options: dict[str, Any] = {} if config.thinking == "default" else {"enable_thinking": config.thinking == "on"}
    try:
        return tokenizer.apply_chat_template(
            [dict(message) for message in messages], tokenize=False, add_generation_prompt=True, **options
        )
    except TemplateError as error:
        hint = "leave model.system out" if config.system else 'set model.chat = "never"'
        raise ConfigError(f"model.chat: the model's chat template refuses the conversation: {error}; {hint}") from None


def text_ids(tokenizer: "PreTrainedTokenizerBase", text: Any) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def prompt_lengths(folder: Path, prompts: Sequence[Prompt], config: ModelConfig) -> list[int]:
    """Tokens of each prompt as `prompt_ids` gives them; `transformers` is loaded only for a chat template."""
    path = folder / "tokenizer.json"
    try:
        if uses_template(config, folder):
            tokenizer = load_tokenizer(folder, config)
            return [len(prompt_ids(tokenizer, prompt, config)) for prompt in prompts]
        from tokenizers import Tokenizer

        plain = Tokenizer.from_file(str(path))
    except ConfigError:
        raise
    except Exception as error:  # the libraries raise nothing more specific
        raise ConfigError(f"model.name: {path} is not a tokenizer: {error}") from None
    texts = [plain_text(prompt, config) for prompt in prompts]
    return [len(one.ids) for one in plain.encode_batch(texts, add_special_tokens=False)]


def completion(
    tokenizer: "PreTrainedTokenizerBase",
    prompt: Sequence[int],
    tokens: Sequence[int],
    logprobs: Sequence[float] | None,
    finish_reason: str,
) -> Completion:
    """What was sampled, with what can be read in it. `tokens` hold the end mark where one was sampled."""
    return Completion(
        text=readable(tokenizer, tokens[:-1] if finish_reason == "stop" else tokens),
        prompt_token_ids=tuple(prompt),
        token_ids=tuple(tokens),
        logprobs=None if logprobs is None else tuple(logprobs),
        finish_reason=finish_reason,
        reasoning_tokens=reasoning_tokens(tokenizer, tokens),
    )


def reasoning_tokens(tokenizer: "PreTrainedTokenizerBase", tokens: Sequence[int]) -> int:
    """Tokens up to and including the one that ends the first </think>; 0 without one.

    It does not matter whether the answer or the prompt's template opened the reasoning, nor whether the mark is one
    token or is written in pieces: the shortest beginning whose text holds it is looked for.
    """
    if THINK_END not in _decode(tokenizer, tokens):
        return 0
    low, high = 0, len(tokens)
    while high - low > 1:  # the first `high` tokens hold the mark, the first `low` do not
        middle = (low + high) // 2
        low, high = (low, middle) if THINK_END in _decode(tokenizer, tokens[:middle]) else (middle, high)
    return high


def readable(tokenizer: "PreTrainedTokenizerBase", tokens: Sequence[int]) -> str:
    """The tokens as text, without the marks of turns and the like that a chat model may write in its answer."""
    marks = set(tokenizer.all_special_ids)
    if marks.intersection(tokens):
        marks = {mark for mark in marks if _decode(tokenizer, [mark]).strip() not in TAGS}
        tokens = [token for token in tokens if token not in marks]
    return _decode(tokenizer, tokens)


def _decode(tokenizer: "PreTrainedTokenizerBase", tokens: Sequence[int]) -> str:
    text = tokenizer.decode(list(tokens), clean_up_tokenization_spaces=False)
    assert isinstance(text, str)
    return text
