"""A chat template."""

TEMPLATE = """{% for message in messages %}{% if message.role == 'assistant' %}assistant:
{{ message.content.split('</think>')[-1] }}{% else %}{{ message.role }}:
{{ message.content }}{% endif %}<|end|>{% endfor %}{% if add_generation_prompt %}assistant:
<think>
{% if enable_thinking is defined and not enable_thinking %}</think>
{% endif %}{% endif %}"""
"""As those of thinking models are: it opens the reasoning, has a switch, and drops reasoning from what was said."""
