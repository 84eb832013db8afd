"""Small networks of every family, with random weights, for whole-model comparisons with PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own convention

from benchmarks.models.networks import Inception, Residual

__all__ = ["NETWORKS", "Network"]


@dataclass(frozen=True)
class Network:
    """How to make one, what it reads, and whether its gradient is continuous."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...] = (3, 32, 32)
    smooth: bool = False


class Head(nn.Module):
    """Mean over space, then a linear layer."""

    def __init__(self, channels: int, axes: tuple[int, ...] = (2, 3)) -> None:
        super().__init__()
        self.axes, self.linear = axes, nn.Linear(channels, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.mean(dim=self.axes))


def plain() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 24, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(24 * 7 * 7, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 10),
    )  # fmt: skip


def residual() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 7, 2, 3), nn.MaxPool2d(3, 2, 1), Residual(16, 16, 1), Residual(16, 32, 2), Head(32)
    )


class DenseLayer(nn.Module):
    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, growth, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.conv(F.relu(self.norm(x)))], dim=1)


def dense() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        DenseLayer(16, 8),
        DenseLayer(24, 8),
        nn.AvgPool2d(2),
        DenseLayer(32, 8),
        Head(40),
    )


def inception() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), nn.LocalResponseNorm(5),
        Inception(16, 8, 8, 16, 4, 8, 8), nn.MaxPool2d(3, 2, ceil_mode=True), Inception(40, 8, 8, 16, 4, 8, 8), Head(40),
    )  # fmt: skip


class Squeeze(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, channels // 4, 1), nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1))))
        return x * F.hardsigmoid(gate)


class Inverted(nn.Module):
    """Expand, depthwise, squeeze and excite, project."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        wide = inputs * 4
        self.add = stride == 1 and inputs == outputs
        self.body = nn.Sequential(
            nn.Conv2d(inputs, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.Hardswish(),
            nn.Conv2d(wide, wide, 5, stride, 2, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.ReLU6(), Squeeze(wide),
            nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.add else self.body(x)


def mobile() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.Hardswish(), Inverted(16, 16, 1), Inverted(16, 24, 2), Head(24))


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNextBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm, self.scale = nn.LayerNorm(channels), nn.Parameter(torch.full((channels,), 0.3))
        self.wide, self.narrow = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + (self.scale * self.narrow(F.gelu(self.wide(y)))).permute(0, 3, 1, 2)


def convnext() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 4, 4), LayerNorm2d(16), ConvNextBlock(16), LayerNorm2d(16), nn.Conv2d(16, 24, 2, 2),
        ConvNextBlock(24), Head(24),
    )  # fmt: skip


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, length, width = x.shape
        q, k, v = self.qkv(x).reshape(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        weights = ((q @ k.transpose(-2, -1)) * (width // self.heads) ** -0.5).softmax(dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(n, length, width))


class Encoder(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norms[0](x))
        return x + self.mlp(self.norms[1](x))


class Vit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 24, 8, 8)
        self.token, self.place = nn.Parameter(torch.randn(1, 1, 24)), nn.Parameter(torch.randn(1, 17, 24))
        self.blocks, self.head = nn.Sequential(Encoder(24, 3), Encoder(24, 3)), nn.Linear(24, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(tokens.shape[0], -1, -1), tokens], dim=1) + self.place
        return self.head(self.blocks(tokens)[:, 0])


class Swin(nn.Module):
    """Windows, shifted windows by rolling, patch merging."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.blocks = nn.ModuleList([Encoder(16, 2), Encoder(16, 2)])
        self.merge, self.head = nn.Linear(64, 32), nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patch(x).permute(0, 2, 3, 1)
        n, height, width, channels = x.shape
        for shift, block in zip((0, 2), self.blocks, strict=True):
            x = torch.roll(x, (-shift, -shift), (1, 2)) if shift else x
            windows = x.reshape(n, height // 4, 4, width // 4, 4, channels).permute(0, 1, 3, 2, 4, 5)
            windows = block(windows.reshape(-1, 16, channels))
            windows = windows.reshape(n, height // 4, width // 4, 4, 4, channels)
            x = windows.permute(0, 1, 3, 2, 4, 5).reshape(n, height, width, channels)
            x = torch.roll(x, (shift, shift), (1, 2)) if shift else x
        x = torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], dim=-1)
        return self.head(self.merge(x).mean(dim=(1, 2)))


class Fire(nn.Module):
    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.one, self.three = nn.Conv2d(squeeze, expand, 1), nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.one(x)), F.relu(self.three(x))], dim=1)


def squeezenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(16, 8, 12), Fire(24, 8, 16),
        nn.Conv2d(32, 10, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


class Shuffle(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.body = nn.Sequential(
            nn.Conv2d(half, half, 1),
            nn.ReLU(),
            nn.Conv2d(half, half, 3, 1, 1, groups=half),
            nn.Conv2d(half, half, 1),
            nn.ReLU(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        still, moved = x.chunk(2, dim=1)
        x = torch.cat([still, self.body(moved)], dim=1)
        n, channels, height, width = x.shape
        return x.reshape(n, 2, channels // 2, height, width).transpose(1, 2).reshape(n, channels, height, width)


def shuffle() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 24, 3, 2, 1), nn.MaxPool2d(3, 2, 1), Shuffle(24), Shuffle(24), Head(24))


def signal() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(2, 16, 7, 2, 3), nn.BatchNorm1d(16), nn.ELU(), nn.AvgPool1d(2), nn.Conv1d(16, 24, 5, padding=2, dilation=1),
        nn.SiLU(), Head(24, (2,)),
    )  # fmt: skip


def volume() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(1, 8, 3, (1, 2, 2), 1),
        nn.ReLU(),
        nn.MaxPool3d(2),
        nn.Conv3d(8, 12, 3, padding=1),
        nn.ReLU(),
        Head(12, (2, 3, 4)),
    )


def grouped() -> nn.Module:
    """GroupNorm, instance norm, PReLU, upsampling, transposed convolution, pixel shuffle."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.GroupNorm(4, 16), nn.PReLU(16), nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(16, 16, 3, 2, 1, groups=2), nn.InstanceNorm2d(16, affine=True), nn.Mish(),
        nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.Softplus(), nn.Conv2d(8, 12, 3, 2, padding=1, padding_mode="reflect"),
        nn.PixelShuffle(2), Head(3),
    )  # fmt: skip


class Rows(nn.Module):
    """Rows of the image as a sequence, read in both directions, then by another network."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.LSTM(48, 8, num_layers=2, batch_first=True, bidirectional=True)
        self.second, self.head = nn.GRU(16, 12, batch_first=True), nn.Linear(12, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, _ = self.first(x.permute(0, 2, 1, 3).flatten(2))
        _, last = self.second(rows)
        return self.head(last[0])


class Chosen(nn.Module):
    """The tokens with the highest scores, each through the better of two experts."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.score, self.gate = nn.Conv2d(3, 16, 4, 4), nn.Linear(16, 1), nn.Linear(16, 2)
        self.experts, self.head = nn.Parameter(torch.randn(2, 16, 16) / 4), nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = torch.tanh(self.patch(x)).flatten(2).transpose(1, 2)
        scores, places = self.score(tokens).squeeze(-1).topk(12, dim=1)
        tokens = torch.gather(tokens, 1, places.unsqueeze(-1).expand(-1, -1, 16)) * scores.sigmoid().unsqueeze(-1)
        gates = self.gate(tokens).softmax(dim=-1)
        best = F.one_hot(gates.argmax(dim=-1), 2).to(tokens.dtype) * gates
        return self.head(torch.einsum("nle,nld,edo->no", best, tokens, self.experts))


NETWORKS: dict[str, Network] = {
    "plain": Network(plain),
    "residual": Network(residual),
    "dense": Network(dense),
    "inception": Network(inception, (3, 64, 64)),
    "mobile": Network(mobile),
    "convnext": Network(convnext, smooth=True),
    "vit": Network(Vit, smooth=True),
    "swin": Network(Swin, smooth=True),
    "squeeze": Network(squeezenet, (3, 48, 48)),
    "shuffle": Network(shuffle),
    "signal": Network(signal, (2, 64), smooth=True),
    "volume": Network(volume, (1, 8, 16, 16)),
    "grouped": Network(grouped),
    "rows": Network(Rows, (3, 12, 16), smooth=True),
    "chosen": Network(Chosen),
}
