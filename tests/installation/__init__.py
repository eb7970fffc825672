"""Tests of install.py, and of what it does to editors."""
