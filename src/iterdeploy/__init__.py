"""Run, measure and explain iterative deployment: deploy, validate, curate, fine-tune, repeat."""

__version__ = "0.1.0"
