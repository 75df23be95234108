"""The example of an agent: its environment, without a model."""

from pathlib import Path

from helpers.support import ROOT
from iterdeploy import Completion, Observation, Status, Verdict
from iterdeploy.config_file import load_config
from iterdeploy.registry import file_module
from iterdeploy.tasks.environment import Episodes

FOLDER = ROOT / "examples" / "agent"


def said(*guesses: str) -> list[Completion]:
    return [Completion(guess, (1,), (2, 0), None, "stop", 0) for guess in guesses]


def test_the_game_is_forty_lines_and_is_won_by_who_remembers() -> None:
    source = FOLDER / "guess.py"
    assert len(source.read_text().splitlines()) <= 40
    turns = load_config(FOLDER / "guess.toml").sampling.max_turns
    tasks = file_module(Path(source), "tasks.kind").Guess({}, 0)
    won = 0
    for task in tasks.held_out:
        episodes, guesses, low, high = Episodes(tasks.environment, turns, 1.0), [], 1, 16
        reply = episodes.reply(task, [])
        while isinstance(reply, Observation):
            middle = (low + high) // 2
            guesses.append(str(middle))
            reply = episodes.reply(task, said(*guesses))
            low, high = (
                (middle + 1, high) if isinstance(reply, Observation) and "higher" in reply.text else (low, middle)
            )
        assert isinstance(reply, Verdict)
        won += reply.status is Status.VALID
    assert won > 80
