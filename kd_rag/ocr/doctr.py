def doctr() -> int:
    return 1
