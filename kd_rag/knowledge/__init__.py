"""The knowledge base: the text encoder and the Chroma store."""
