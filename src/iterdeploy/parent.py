"""A process that was started by another one ends with it, even where it was killed and could say nothing."""

import os
import threading
import time


def end_with_parent(parent: int | None = None) -> None:
    """Watches from a thread of its own, so that it works in the middle of anything. `parent`: the process that started
    this one; needed where it may have ended before this call."""
    threading.Thread(target=_watch, args=[parent or os.getppid()], daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
