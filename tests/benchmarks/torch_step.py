"""The PyTorch side of `training_step.py`: our SE-UNet, its loss and Adam. It imports torch and nothing of ours."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import torch
from torch import nn
from torch.nn import functional

# As `segmentation.networks.unet`: maps of the levels down, of the bottom, and of the transposed convolutions up.
_DOWN, _BOTTOM, _UP = (32, 64, 128), 256, (64, 32, 32)


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def three_convolutions(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(convolution(inputs, outputs), convolution(outputs, outputs), convolution(outputs, outputs))


class SqueezeExcitation(nn.Module):
    def __init__(self, maps: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(maps, max(1, maps // 16), bias=False)
        self.excite = nn.Linear(max(1, maps // 16), maps, bias=False)

    def forward(self, maps: Any) -> Any:
        weights = torch.sigmoid(self.excite(functional.relu(self.squeeze(maps.mean((2, 3))))))
        return maps * weights[:, :, None, None]


class Network(nn.Module):
    def __init__(self, width: float) -> None:
        super().__init__()
        down, up = [round(maps * width) for maps in _DOWN], [round(maps * width) for maps in _UP]
        bottom = round(_BOTTOM * width)
        self.down, self.pooled, self.excited = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        inputs = 1
        for maps in down:
            self.down.append(three_convolutions(inputs, maps))
            self.excited.append(SqueezeExcitation(maps))
            self.pooled.append(convolution(maps, maps, 2))
            inputs += maps
        self.bottom = three_convolutions(inputs, bottom)
        self.up, self.joined = nn.ModuleList(), nn.ModuleList()
        inputs = bottom
        for level, maps in zip((2, 1, 0), up, strict=True):
            self.up.append(nn.ConvTranspose2d(inputs, maps, 3, 2, 1, 1))
            self.joined.append(three_convolutions(maps + down[level], down[level]))
            inputs = down[level]
        self.last = nn.Conv2d(inputs, 1, 1)

    def forward(self, image: Any) -> Any:
        found, kept = image, []
        for down, excited, pooled in zip(self.down, self.excited, self.pooled, strict=True):
            maps = excited(down(found))
            kept.append(maps)
            halved = functional.dropout(pooled(maps), 0.5, self.training)
            found = torch.cat([halved, functional.max_pool2d(found, 2)], 1)
        found = self.bottom(found)
        for up, joined, maps in zip(self.up, self.joined, reversed(kept), strict=True):
            found = joined(torch.cat([up(found), maps], 1))
        return self.last(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, kind in (("width", float), ("batch", int), ("crop", int), ("threads", int), ("steps", int)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    network = Network(options.width).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True)
    images = torch.rand(options.batch, 1, options.crop, options.crop).contiguous(memory_format=torch.channels_last)
    labels = (images > 0.9).float()

    def step() -> float:
        found = network(images)
        probabilities = torch.sigmoid(found)
        overlap = 2 * (probabilities * labels).sum() / (probabilities.sum() + labels.sum())
        loss = functional.binary_cross_entropy_with_logits(found, labels) + 1 - overlap
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return float(loss)

    step(), step()
    wall, cpu = [], []
    for _ in range(options.steps):
        started, used = time.monotonic(), time.process_time()
        step()
        wall.append(time.monotonic() - started)
        cpu.append(time.process_time() - used)
    said = {"wall_seconds": round(statistics.median(wall), 3), "cpu_seconds": round(statistics.median(cpu), 3)}
    parameters = sum(values.numel() for values in network.parameters())
    print(json.dumps(said | {"version": torch.__version__, "parameters": parameters}))


if __name__ == "__main__":
    main()
