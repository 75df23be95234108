"""A further process that samples: it takes batches from a pipe and answers them.

    python -m iterdeploy.samplers.worker FILE_DESCRIPTOR

It ends when the pipe is closed, or with the process that started it.
"""

import sys
from contextlib import suppress
from multiprocessing.connection import Connection

from iterdeploy.config import RunConfig
from iterdeploy.parent import end_with_parent
from iterdeploy.samplers.transformers import TransformersSampler


def main(descriptor: int) -> None:
    end_with_parent()
    pipe = Connection(descriptor)
    with suppress(EOFError, BrokenPipeError):  # the other end is gone: nobody waits for an answer
        policy, config = pipe.recv()
        with TransformersSampler(policy, RunConfig.model_validate_json(config)) as sampler:
            pipe.send((-1, []))
            while True:
                index, prompts, seed = pipe.recv()
                pipe.send((index, sampler.sample(prompts, seed)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
