"""make_torch.py OUT: checkpoints as torch.save writes them, zip and legacy, and TorchScript."""
import collections
import sys
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import torch

out = Path(sys.argv[1])
torch.manual_seed(5)
network = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.LayerNorm(32), torch.nn.Linear(32, 4))
optimizer = torch.optim.Adam(network.parameters())
network(torch.rand(3, 16)).sum().backward()
optimizer.step()
values = {
    "state_dict": network.state_dict(),
    "checkpoint": {"model": network.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "loss": 0.25, "args": {"lr": 1e-3}},
    "tensor": torch.rand(10, 10), "parameter": torch.nn.Parameter(torch.rand(4)), "sparse": torch.eye(4).to_sparse(),
    "types": {str(kind): torch.zeros(4, dtype=kind) for kind in (
        torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.uint8, torch.int64, torch.bool, torch.complex64)},
    "quantized": torch.quantize_per_tensor(torch.rand(4, 4), 0.1, 0, torch.qint8),
    "nested": collections.OrderedDict(a=[torch.ones(1), (torch.zeros(2), None)], size=torch.Size([1, 2]), device=torch.device("cpu"),
                                      dtype=torch.float32),
    "views": {"base": (base := torch.rand(8, 8)), "row": base[2], "column": base[:, 1]},
}
for name, value in values.items():
    torch.save(value, out / f"{name}.pt")
    torch.save(value, out / f"{name}.legacy.bin", _use_new_zipfile_serialization=False)
torch.save(network, out / "module.pt")
torch.save(network.state_dict(), out / "protocol4.pt", pickle_protocol=4)


# TorchScript: scripted, traced, frozen, quantised, with state of its own, for mobile as zip and flatbuffer.
class Classifier(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(50, 16)
        self.lstm = torch.nn.LSTM(16, 16, batch_first=True)
        self.encoder = torch.nn.TransformerEncoder(torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 1)
        self.blocks = torch.nn.ModuleList([torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.GELU()) for _ in range(2)])
        self.out = torch.nn.Linear(16, 3)

    def forward(self, tokens: torch.Tensor, names: Optional[Dict[str, int]] = None) -> Tuple[torch.Tensor, List[str]]:
        hidden, _ = self.lstm(self.embedding(tokens))
        hidden = self.encoder(hidden)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        seen: List[str] = []
        if names is not None and "save" in names:
            print("torch.save", hidden.shape)
            seen.append("{}".format(names["save"]))
        if hidden.size(0) > 1000:
            raise RuntimeError("too large a batch")
        return self.out(hidden.mean(1)), seen


class Counter(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.ones(3))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return torch.einsum("ij,jk->ik", values, values) * self.count.sum()

    @torch.jit.export
    def __getstate__(self):
        return (self.count, self.training)

    @torch.jit.export
    def __setstate__(self, state: Tuple[torch.Tensor, bool]):
        self.count = state[0]
        self.training = state[1]


small = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Softmax(dim=-1)).eval()
torch.jit.script(Classifier().eval()).save(out / "scripted.pt")
torch.jit.script(Counter()).save(out / "state.pt")
torch.jit.trace(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten()).eval(), torch.rand(1, 3, 8, 8)).save(out / "traced.pt")
torch.jit.freeze(torch.jit.script(small)).save(out / "frozen.pt")
torch.jit.script(torch.quantization.quantize_dynamic(small, {torch.nn.Linear}, dtype=torch.qint8)).save(out / "dynamic.pt")
mobile = torch.jit.script(small)
mobile._save_for_lite_interpreter(str(out / "mobile.ptl"))
mobile._save_for_lite_interpreter(str(out / "mobile_flat.ptl"), _use_flatbuffer=True)
