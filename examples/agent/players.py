"""What the tiny model is shown, for `tiny_model.py`: games of players who often forget what they were told."""

import random

NUMBERS = 16


def show(draw: random.Random) -> tuple[str, str]:
    """A game so far, and the next guess."""
    number, low, high = draw.randint(1, NUMBERS), 1, NUMBERS
    text = f"1 to {NUMBERS}\n"
    for _ in range(draw.randint(0, 3)):
        guess = _guess(draw, low, high)
        if guess == number:
            break
        text += f"{guess}<|end|>{'higher' if guess < number else 'lower'}\n"
        low, high = (max(low, guess + 1), high) if guess < number else (low, min(high, guess - 1))
    return text, str(_guess(draw, low, high))


def _guess(draw: random.Random, low: int, high: int) -> int:
    """Half of the time any number, else one that is still possible."""
    return draw.randint(1, NUMBERS) if draw.random() < 0.5 or low > high else draw.randint(low, high)
