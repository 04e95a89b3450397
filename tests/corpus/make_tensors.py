"""make_tensors.py OUT: safetensors and GGUF as their own libraries write them."""
import sys
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import save_file

out = Path(sys.argv[1])
chooser = np.random.default_rng(4)
save_file({"a.weight": chooser.random((64, 32)).astype("float32"), "b": chooser.random(7).astype("float16"), "n": np.arange(5)},
          out / "mixed.safetensors", metadata={"format": "pt", "note": "made by a test"})
save_file({}, out / "empty.safetensors")
save_file({"large": chooser.random((1500, 1000)).astype("float32")}, out / "large.safetensors")
writer = gguf.GGUFWriter(out / "model.gguf", "llama")
writer.add_name("sample")
writer.add_context_length(2048)
writer.add_embedding_length(64)
writer.add_block_count(1)
writer.add_tokenizer_model("llama")
writer.add_token_list([b"<unk>", b"<s>", b"</s>", "gate".encode()])
writer.add_token_scores([0.0, 0.0, 0.0, -1.0])
writer.add_token_types([2, 3, 3, 1])
writer.add_chat_template("{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}")
writer.add_tensor("token_embd.weight", chooser.random((4, 64)).astype("float32"))
writer.add_tensor("blk.0.attn_q.weight", chooser.random((64, 64)).astype("float16"))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
