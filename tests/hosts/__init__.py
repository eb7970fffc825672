"""Tests in the real editors."""
