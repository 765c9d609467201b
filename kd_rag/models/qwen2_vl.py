def qwen2_vl() -> int:
    return 1
