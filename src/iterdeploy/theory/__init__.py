"""How much of a run's fine-tuning is REINFORCE: the two propositions of arXiv 2512.24940, measured on the run itself.

`answers` has the answers, stored and fresh, `gradients` sums and compares their gradients, `proposition1` drops its
conditions one at a time, `as_trained` takes the run's real training, `proposition2` weighs old traces, `weights` is the
algebra of the weights, `analysis` is all of it, and `tables` turns the numbers into text. docs/theory.md explains them.
"""
