"""From a file of records to batches of token ids and pixels."""
