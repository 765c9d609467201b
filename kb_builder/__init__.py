"""Fills the knowledge base that kd_rag reads."""
