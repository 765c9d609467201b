"""What a run is worth: predictions in, scores with intervals and a page that compares runs out."""
