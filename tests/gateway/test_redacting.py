"""Personal data is taken out of what is stored, and only there."""

from pathlib import Path

import pytest

from helpers.serving import Live, config_of
from iterdeploy.models.chat import load_tokenizer
from iterdeploy.models.loading import model_folder
from iterdeploy.record.store import TraceStore

pytestmark = pytest.mark.slow

CODE = """
def without_names(text):
    if "fail" in text:
        raise ValueError("no")
    return text.replace("Zebulon", "NAME")
"""


def test_what_is_stored_has_no_names_and_its_tokens_say_the_same(tmp_path: Path) -> None:
    code = tmp_path / "mine.py"
    code.write_text(CODE, encoding="utf-8")
    live = Live(tmp_path / "runs", config_of({"deployment.redact": f"{code}:without_names"}))
    plain = live.trace(live.ask("on b1 b2").json()["id"])
    assert plain.source == "transformers" and plain.completions[0].logprobs is not None
    response = live.ask("Zebulon on b1 b2")
    trace = live.trace(response.json()["id"])
    (call,) = trace.completions
    assert trace.source == "transformers (redacted)" and call.logprobs is None
    tokenizer = load_tokenizer(model_folder(live.config.model), live.config.model)
    assert list(call.prompt_token_ids) == tokenizer("NAME on b1 b2", add_special_tokens=False)["input_ids"]
    assert response.json()["choices"][0]["message"]["content"] == call.text, "only the question had a name"

    before = len(live.traces())
    assert live.ask("fail").status_code == 503 and len(live.traces()) == before, "what was not looked at is not stored"
    said = live.end()
    assert "deployment.redact" in said and "Traceback" not in said
    for file in live.path.glob("traces.sqlite*"):
        assert b"Zebulon" not in file.read_bytes()


STAND_INS = {
    "presidio_analyzer": """
import re

class AnalyzerEngine:
    def analyze(self, text, language):
        assert language == "en"
        return [found.span() for found in re.finditer("Zebulon", text)]
""",
    "presidio_anonymizer": """
from types import SimpleNamespace

class AnonymizerEngine:
    def anonymize(self, text, analyzer_results):
        for begin, end in reversed(analyzer_results):
            text = text[:begin] + "<PERSON>" + text[end:]
        return SimpleNamespace(text=text)
""",
}
"""For Presidio, which fetches a model: they have its calls, and know one name."""


def test_presidio_is_called_as_it_wants_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, code in STAND_INS.items():
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    redact = "iterdeploy.gateway.presidio:without_personal_data"
    live = Live(tmp_path / "runs", config_of({"deployment.redact": redact}))
    trace = live.trace(live.ask("Zebulon on b1 b2, Zebulon").json()["id"])
    assert trace.source == "transformers (redacted)"
    store = TraceStore(live.path / "traces.sqlite", read_only=True)
    assert store.task(trace.task_id).prompt == "<PERSON> on b1 b2, <PERSON>"
    store.close()
    live.end()
