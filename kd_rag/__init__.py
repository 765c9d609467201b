"""Knowledge distillation and retrieval-augmented prompts for multimodal intent recognition."""
