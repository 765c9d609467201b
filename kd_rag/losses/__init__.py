"""From hidden states at the answer to the loss."""
