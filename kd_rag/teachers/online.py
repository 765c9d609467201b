def online() -> int:
    return 1
