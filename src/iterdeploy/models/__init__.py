"""The embedded base models and the script that makes them."""
