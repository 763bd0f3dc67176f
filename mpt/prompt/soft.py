"""The soft prompt: one tensor, all that prompt tuning learns."""

from torch import Tensor, nn


class SoftPrompt(nn.Module):
    """``P`` learned embeddings that a frozen model reads before its input (Lester et al. 2021).

    Args:
        weight: initial value, ``[P, H]``; copied, kept in float32.

    Raises:
        ValueError: if it is not a matrix with at least one row.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        if weight.dim() != 2 or not len(weight):
            raise ValueError(f"a prompt is a [P, H] matrix with P >= 1, not {list(weight.shape)}")
        self.weight = nn.Parameter(weight.detach().clone().float())

    def forward(self) -> Tensor:
        """The prompt, ``[P, H]``."""
        return self.weight

    @property
    def length(self) -> int:
        """Number of prompt rows, P."""
        return self.weight.shape[0]

    def extra_repr(self) -> str:
        return f"P={self.weight.shape[0]}, H={self.weight.shape[1]}"
