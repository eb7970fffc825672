"""Models that the user adds: examined as strangers, kept with their checksums, run beside our own."""
