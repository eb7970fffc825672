"""Parts of colour.py and style.py."""
