"""What is decided about a live deployment: which generation is made, which one serves, who is forgotten, and why a
trace trains. Every decision is an act in the store, with who made it and when.
"""
