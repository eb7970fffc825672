"""The styles that the user has trained or been given, as files; imports neither torch nor numpy."""
