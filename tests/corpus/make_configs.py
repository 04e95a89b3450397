"""make_configs.py OUT: the configurations of well-known models and tools, as their own libraries write them.

What transformers and tokenizers can write here they write; the rest is written down from the published
files, shortened where they repeat themselves. Every file keeps the name that loaders look for, so that
what is conditional on a name holds: one file a folder would hide that, so they are told apart by number.
"""
import json
import sys
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors
from transformers import CONFIG_MAPPING, GenerationConfig

out = Path(sys.argv[1])
written = 0


def write(name: str, content) -> None:
    """Files stand side by side: "config.json" of the tenth repository is r10/config.json."""
    global written
    written += 1
    folder = out / f"r{written:03}"
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, (dict, list)):
        content = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    path.write_text(content)


# Every architecture of the installed transformers with its defaults, as save_pretrained writes it.
for kind in sorted(CONFIG_MAPPING.keys()):
    try:
        config = CONFIG_MAPPING[kind]()
        folder = out / f"transformers-{kind}"
        config.save_pretrained(folder)
    except Exception as error:  # needs a library that is not here, or has no defaults
        print(f"{kind}: {type(error).__name__}", file=sys.stderr)
GenerationConfig(max_new_tokens=64, do_sample=True, temperature=0.7, eos_token_id=[1, 2]).save_pretrained(out / "generation")

# Tokenizers of every kind.
bpe = tokenizers.Tokenizer(models.BPE(vocab={"<s>": 0, "</s>": 1, "\u0120a": 2, "b": 3, "\u0120ab": 4}, merges=[("\u0120a", "b")]))
bpe.add_special_tokens([tokenizers.AddedToken("<s>"), tokenizers.AddedToken("</s>"), tokenizers.AddedToken("<|im_start|>")])
bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
bpe.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
unigram = tokenizers.Tokenizer(models.Unigram([("<unk>", 0.0), ("\u2581a", -1.0), ("b", -2.5)], unk_id=0, byte_fallback=False))
unigram.normalizer = normalizers.Sequence([normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.NFKD(),
                                           normalizers.StripAccents(), normalizers.Replace(tokenizers.Regex(" {2,}"), " ")])
unigram.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
pieces = tokenizers.Tokenizer(models.WordPiece({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "gate": 3, "##s": 4}, unk_token="[UNK]"))
pieces.normalizer, pieces.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
pieces.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
for number, tokenizer in enumerate((bpe, unigram, pieces)):
    (out / f"tokenizer{number}").mkdir()
    tokenizer.save(str(out / f"tokenizer{number}" / "tokenizer.json"))

# Configurations as published.
write("config.json", {"_name_or_path": "meta-llama/Llama-2-7b-hf", "architectures": ["LlamaForCausalLM"], "bos_token_id": 1,
                      "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 4096, "model_type": "llama", "rms_norm_eps": 1e-05,
                      "rope_scaling": None, "torch_dtype": "float16", "use_cache": True, "vocab_size": 32000,
                      "_attn_implementation_autoset": True, "quantization_config": {"quant_method": "awq", "bits": 4}})
write("config.json", {"architectures": ["Qwen2VLForConditionalGeneration"], "model_type": "qwen2_vl", "vision_start_token_id": 151652,
                      "vision_config": {"depth": 32, "embed_dim": 1280, "in_chans": 3}, "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}})
write("config.json", {"_commit_hash": None, "architectures": ["InternVLChatModel"], "auto_map": {
    "AutoConfig": "configuration_internvl_chat.InternVLChatConfig", "AutoModel": "modeling_internvl_chat.InternVLChatModel"},
    "llm_config": {"_name_or_path": "internlm/internlm2-chat-7b", "_attn_implementation": "flash_attention_2", "auto_map": {
        "AutoConfig": "configuration_internlm2.InternLM2Config"}}, "model_type": "internvl_chat"})
for name in ("configuration_internvl_chat", "modeling_internvl_chat", "configuration_internlm2"):
    (out / f"r{written:03}" / f"{name}.py").write_text("from transformers import PretrainedConfig\n")
write("config.json", {"architectures": ["LightGlueForKeypointMatching"], "trust_remote_code": False, "model_type": "lightglue",
                      "keypoint_detector_config": {"model_type": "superpoint"}})
write("tokenizer_config.json", {"add_bos_token": True, "added_tokens_decoder": {"0": {"content": "<unk>", "special": True}},
                                "chat_template": "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}",
                                "legacy": False, "model_max_length": 1000000000000000019884624838656, "pad_token": None,
                                "special_tokens_map_file": "/root/.cache/huggingface/hub/x/special_tokens_map.json",
                                "tokenizer_file": "/content/tokenizer.json", "name_or_path": "/home/me/out", "tokenizer_class": "LlamaTokenizer"})
write("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["tokenization_qwen.QWenTokenizer", None]}, "tokenizer_class": "QWenTokenizer",
                                "chat_template": [{"name": "default", "template": "{{ messages[0]['content'] }}"}, {"name": "tool_use", "template": "{{ tools }}"}]})
(out / f"r{written:03}" / "tokenization_qwen.py").write_text("from transformers import PreTrainedTokenizer\n")
write("preprocessor_config.json", {"crop_size": {"height": 224, "width": 224}, "feature_extractor_type": "CLIPFeatureExtractor",
                                   "image_processor_type": "CLIPImageProcessor", "processor_class": "CLIPProcessor", "size": 224})
write("model_index.json", {"_class_name": "StableDiffusionXLPipeline", "_diffusers_version": "0.19.0.dev0", "force_zeros_for_empty_prompt": True,
                           "add_watermarker": None, "scheduler": ["diffusers", "EulerDiscreteScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
                           "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"], "tokenizer": ["transformers", "CLIPTokenizer"],
                           "image_encoder": [None, None], "unet": ["diffusers", "UNet2DConditionModel"]})
write("modules.json", [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                       {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                       {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}])
write("config_sentence_transformers.json", {"__version__": {"sentence_transformers": "2.0.0", "transformers": "4.6.1", "pytorch": "1.8.1"}, "prompts": {"query": "query: "}})
write("adapter_config.json", {"alpha_pattern": {}, "auto_mapping": {"base_model_class": "LlavaForConditionalGeneration", "parent_library": "transformers.models.llava.modeling_llava"},
                              "base_model_name_or_path": "meta-llama/Llama-2-7b-hf", "bias": "none", "megatron_config": None, "megatron_core": "megatron.core",
                              "peft_type": "LORA", "r": 64, "target_modules": "^(?!.*vision).*(?:q_proj|v_proj).*", "task_type": "CAUSAL_LM"})
# Named like the index of a checkpoint with one shard, so that the tree finds what it names.
write("model.safetensors.index.json", {"metadata": {"total_size": 0}, "weight_map": {}})
write("README.md", "---\nlicense: apache-2.0\nlanguage:\n- en\ntags: [a, 'b: c']\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n"
      "    path: data/train-*\n  - split: test\n    path:\n    - data/test-*.parquet\n    - hf://datasets/a/b@refs%2Fconvert%2Fparquet/x.parquet\n"
      "dataset_info:\n  features:\n  - name: id\n    dtype: string\nmodel-index:\n- name: x\n  results: []\nwidget:\n- text: \"Hello: world\"\n---\n\n"
      "# Model\n\nContact: me@company.org. Install: `pip install x`.\n\n```python\nos.environ['A']\n```\n")
write("metadata.jsonl", '{"file_name": "images/0001.png", "text": "a ../ b"}\n{"file_name": "images/0002.png", "text": "c"}\n')
write("data.yaml", "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['a', 'b']\nroboflow:\n  license: CC BY 4.0\n  url: https://universe.roboflow.com/x\n")
write("annotations.json", {"images": [{"id": 1, "file_name": "000000391895.jpg", "coco_url": "http://images.cocodataset.org/train2017/000000391895.jpg"}], "annotations": []})
# Tools
write("MLmodel", "artifact_path: model\nflavors:\n  python_function:\n    env:\n      conda: conda.yaml\n      virtualenv: python_env.yaml\n    loader_module: mlflow.sklearn\n"
      "    model_path: model.pkl\n    predict_fn: predict\n    python_version: 3.11.4\n  sklearn:\n    code: null\n    pickled_model: model.pkl\n    serialization_format: cloudpickle\n"
      "mlflow_version: 2.9.2\nmodel_size_bytes: 893\nsignature:\n  inputs: '[{\"type\": \"double\", \"name\": \"a\"}]'\nutc_time_created: '2024-01-01 00:00:00.000000'\n")
write("hyperparams.yaml", "# Model\nsample_rate: 16000\nn_mels: 80\nseed: 1234\n__set_seed: !apply:torch.manual_seed [!ref <seed>]\n\n"
      "compute_features: !new:speechbrain.lobes.features.Fbank\n    n_mels: !ref <n_mels>\n\nembedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN\n"
      "    input_size: !ref <n_mels>\n    channels: [1024, 1024, 1024, 1024, 3072]\n    activation: !name:torch.nn.LeakyReLU\n\nmodules:\n    compute_features: !ref <compute_features>\n"
      "pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer\n    loadables:\n        embedding_model: !ref <embedding_model>\n    paths:\n        embedding_model: !ref <pretrained_path>/embedding_model.ckpt\n"
      "log_softmax: !new:torch.nn.LogSoftmax\n    dim: -1\nloss: !name:speechbrain.nnet.losses.nll_loss\nopt: !name:torch.optim.Adam\n    lr: 0.001\n")
write("model_config.yaml", "sample_rate: 16000\ntarget: nemo.collections.asr.models.rnnt_bpe_models.EncDecRNNTBPEModel\npreprocessor:\n"
      "  _target_: nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor\n  normalize: per_feature\nencoder:\n  _target_: nemo.collections.asr.modules.ConformerEncoder\n"
      "decoder:\n  _target_: nemo.collections.asr.modules.RNNTDecoder\noptim:\n  name: adamw\ntokenizer:\n  dir: /data/tokenizer\n  model_path: nemo:0f0d_tokenizer.model\n")
write("config.yaml", "defaults:\n- _self_\n- model: base\nmodel:\n  _target_: torch.nn.Sequential\nhydra:\n  run:\n    dir: ${oc.env:PROJECT_ROOT}/logs/${now:%Y-%m-%d}\n")
write("hparams.yaml", "config: !!python/object:argparse.Namespace\n  lr: 0.001\n  betas: !!python/tuple\n  - 0.9\n  - 0.999\n")
write("mkdocs.yml", "site_name: x\nmarkdown_extensions:\n- pymdownx.emoji:\n    emoji_index: !!python/name:material.extensions.emoji.twemoji\n    emoji_generator: !!python/name:material.extensions.emoji.to_svg\n"
      "- pymdownx.superfences:\n    custom_fences:\n    - name: mermaid\n      format: !!python/name:pymdownx.superfences.fence_code_format\n")
write("bentofile.yaml", "service: \"service:svc\"\nlabels:\n  owner: me\ninclude:\n- \"*.py\"\npython:\n  packages:\n  - scikit-learn\n")
(out / f"r{written:03}" / "service.py").write_text("import bentoml\n")
write("conda.yaml", "channels:\n- conda-forge\ndependencies:\n- python=3.11\n- pip<=23\n- pip:\n  - mlflow==2.9.2\nname: mlflow-env\n")
write("docker-compose.yml", "services:\n  web:\n    image: x\n    environment: &env\n      A: ${A:-1}\n    command: [\"python\", \"-m\", \"x\"]\n  worker:\n    environment:\n      <<: *env\n")
write("tsconfig.json", "{\n  // comments\n  \"compilerOptions\": {\"strict\": true,},\n}\n")
write(".vscode/settings.json", "{\n  \"editor.formatOnSave\": true, // always\n}\n")
write(".gitattributes", "*.7z filter=lfs diff=lfs merge=lfs -text\n*.bin filter=lfs diff=lfs merge=lfs -text\n*.py text eol=lf\nsaved_model/**/* filter=lfs diff=lfs merge=lfs -text\n")
write(".github/workflows/ci.yml", "on: [push]\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n    - uses: actions/checkout@v4\n    - run: |\n        curl -LsSf https://astral.sh/uv/install.sh | sh\n        uv run pytest\n")
write("Makefile", "VERSION := $(shell git describe)\nall:\n\tpython -m build\n")
write("AGENTS.md", "# Agents\nRun `make lint` before you commit. Never push to main. Ask the user when in doubt.\n")
write("package.json", {"name": "x", "scripts": {"build": "tsc", "prepare": "husky install", "test": "jest"}})
