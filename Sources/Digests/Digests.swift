// Digests that protocols authenticate with.
