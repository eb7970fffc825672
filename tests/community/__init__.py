"""Tests of models that the user adds."""
