"""make_gguf.py OUT: GGUF with whole vocabularies and the chat templates of well-known models, the templates as files too."""
import json
import sys
from pathlib import Path

import gguf
import numpy as np

out = Path(sys.argv[1])
chooser = np.random.default_rng(11)
TEMPLATES = {path.stem.removeprefix("good_"): path.read_text()
             for path in sorted((Path(__file__).resolve().parents[2] / "scanner/code/jinja/corpus").glob("good_*.jinja"))}


def write(name: str, fill, tensors: dict) -> None:
    writer = gguf.GGUFWriter(out / name, "llama")
    fill(writer)
    for key, (data, kind) in tensors.items():
        if kind is None:
            writer.add_tensor(key, data)
        else:
            writer.add_tensor(key, gguf.quants.quantize(data, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def vocabulary(template: str):
    def fill(writer) -> None:
        tokens = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), *(f"\u2581w{i}" for i in range(500))]
        writer.add_name("gate")
        writer.add_description("made by a test")
        writer.add_author("nobody")
        writer.add_url("https://127.0.0.1/model")
        writer.add_context_length(4096)
        writer.add_block_count(1)
        writer.add_embedding_length(64)
        writer.add_head_count(4)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_rope_freq_base(10000.0)
        writer.add_file_type(7)
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list(tokens)
        writer.add_token_scores([-float(i) for i in range(len(tokens))])
        writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * 500)
        writer.add_token_merges([f"\u2581 w{i}" for i in range(50)])
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_unk_token_id(0)
        writer.add_add_bos_token(True)
        writer.add_chat_template([{"name": "default", "template": template}, {"name": "tool_use", "template": TEMPLATES["chatml"]}])
    return fill


weights = {"token_embd.weight": (chooser.standard_normal((759, 64)).astype("float32"), None),
           "blk.0.attn_q.weight": (chooser.standard_normal((64, 64)).astype("float32"), gguf.GGMLQuantizationType.Q8_0),
           "blk.0.ffn_up.weight": (chooser.standard_normal((64, 64)).astype("float32"), gguf.GGMLQuantizationType.Q4_0),
           "blk.0.attn_norm.weight": (chooser.standard_normal(64).astype("float16"), None)}
for name, template in TEMPLATES.items():
    write(f"{name}.gguf", vocabulary(template), weights)
    (out / f"{name}.jinja").write_text(template)
    (out / f"{name}_tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer", "chat_template": template}, indent=2))


def adapter(writer) -> None:
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 16.0)


write("adapter.gguf", adapter, {"blk.0.attn_q.weight.lora_a": (chooser.standard_normal((64, 8)).astype("float32"), None),
                                "blk.0.attn_q.weight.lora_b": (chooser.standard_normal((8, 64)).astype("float32"), None)})
(out / "Modelfile").write_text('FROM ./chatml.gguf\nPARAMETER temperature 0.7\nTEMPLATE """{{ .System }}\n{{ .Prompt }}"""\nSYSTEM You are a helpful assistant.\n')
