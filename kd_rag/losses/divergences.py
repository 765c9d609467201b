from torch import Tensor
def forward_kl(teacher: Tensor, student: Tensor) -> Tensor:
    return teacher
