"""A teacher that needs no network."""


class FixedTeacher:
    """Says the same whatever it is asked."""

    def __init__(self, side):
        self.side = side

    def __call__(self, batch, needs):
        return self.side

    def to(self, device):
        pass
