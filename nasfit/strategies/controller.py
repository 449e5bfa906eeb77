"""The controller: an LSTM that writes an architecture decision by decision (Zoph et al. 2018, NASNet, appendix A.1).

B = architectures, T = decisions, H = hidden units, K = most options of a decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


class Controller(nn.Module):
    """One LSTM layer, one softmax a decision; the input of a step is an embedding of the token before it.

    option_counts: options of each decision, any list. hidden: units H, also the embedding's size. seed: of the weights,
    all uniform within -`spread` to `spread`.
    """

    def __init__(self, option_counts: Sequence[int], *, hidden: int, spread: float, seed: int) -> None:
        super().__init__()
        counts, most = torch.tensor(option_counts), max(option_counts)
        # A row for the start, then K rows a decision: the same token means something else at every decision.
        self.embedding = nn.Embedding(1 + most * len(option_counts), hidden)
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True)
        self.heads_THK = nn.Parameter(torch.empty(len(option_counts), hidden, most))
        self.biases_TK = nn.Parameter(torch.empty(len(option_counts), most))
        self.offsets_T: torch.Tensor
        self.last_T: torch.Tensor
        self.absent_TK: torch.Tensor
        self.uniform_TK: torch.Tensor
        self.register_buffer("offsets_T", 1 + most * torch.arange(len(option_counts)), persistent=False)
        self.register_buffer("last_T", counts - 1, persistent=False)
        self.register_buffer("absent_TK", torch.arange(most) >= counts[:, None], persistent=False)
        self.register_buffer("uniform_TK", ~self.absent_TK / counts[:, None].double(), persistent=False)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-spread, spread, generator=generator)

    def forward(self, tokens_BT: torch.Tensor) -> torch.Tensor:
        """Log-probabilities (B, T, K) of every option given the tokens before it; -inf where there is no option."""
        inputs_BT = (tokens_BT + self.offsets_T)[:, :-1]
        start_B1 = tokens_BT.new_zeros(len(tokens_BT), 1)
        hidden_BTH, _ = self.lstm(self.embedding(torch.cat([start_B1, inputs_BT], dim=1)))
        logits_BTK = torch.einsum("bth,thk->btk", hidden_BTH, self.heads_THK) + self.biases_TK
        return logits_BTK.masked_fill(self.absent_TK, -torch.inf).log_softmax(dim=-1)

    @torch.no_grad()
    def sample(self, uniforms_BT: np.ndarray, *, explore: float | np.ndarray = 0.0) -> np.ndarray:
        """Tokens (B, T) drawn from the policy, by inversion of numbers uniform over 0..1.

        explore: 0..1, one or one a row (B,); share of a distribution uniform over the options that every decision's is
        mixed with.
        """
        uniforms, rows = torch.from_numpy(uniforms_BT), len(uniforms_BT)
        explore_B1 = torch.from_numpy(np.broadcast_to(explore, (rows,)).astype(float))[:, None]
        biases_TK = self.biases_TK.masked_fill(self.absent_TK, -torch.inf)
        weights = [weight for layer in self.lstm.all_weights for weight in layer]
        inputs_B = torch.zeros(rows, dtype=torch.long)
        hidden_BH = cell_BH = torch.zeros(rows, self.lstm.hidden_size)
        tokens = []
        for step in range(len(self.offsets_T)):
            # The bare cell: a whole LSTM called a step at a time takes three times as long.
            hidden_BH, cell_BH = torch.lstm_cell(self.embedding(inputs_B), (hidden_BH, cell_BH), *weights)
            policy_BK = torch.addmm(biases_TK[step], hidden_BH, self.heads_THK[step]).double().softmax(dim=-1)
            mixed_BK = policy_BK.lerp(self.uniform_TK[step], explore_B1)
            # Shares sum to 1 but for rounding: the last option takes what the sum of those before it leaves.
            token_B = (uniforms[:, step, None] >= mixed_BK.cumsum(dim=-1)).sum(dim=-1).clamp(max=self.last_T[step])
            tokens.append(token_B)
            inputs_B = token_B + self.offsets_T[step]
        return torch.stack(tokens, dim=1).numpy()


@contextmanager
def one_thread() -> Iterator[None]:
    """Runs torch on one thread, and restores the caller's number after.

    The network is too small to share out, and sums over another number of threads round differently: replay on another
    machine would drift.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
