// Bidirectional Forwarding Detection.
