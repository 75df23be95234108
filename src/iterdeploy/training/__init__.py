"""From traces to the next policy: examples, loss functions and the trainer."""
