"""The HTTP service of a live deployment: people and programs ask, what was sampled is stored, and they judge it.

A question goes through these files: `app` takes the request, `openai` and `anthropic` say what is asked and how the
answer is written, `answering` asks the model and stores the trace, `embedded` or `upstream` is the model, and `writer`
is the one thread that writes. No answer is whole before it is on the disk.
"""
