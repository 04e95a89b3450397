"""make_transformers.py OUT: training_args.bin's content, tokenizers and what trainers keep beside them."""
import dataclasses
import pickle
import sys
from pathlib import Path

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, processors
from transformers import BatchEncoding, PretrainedConfig, TrainingArguments
from transformers.trainer_utils import HubStrategy, IntervalStrategy, SchedulerType

out = Path(sys.argv[1])
# Its constructor wants torch; what is pickled is the class and its fields.
arguments = TrainingArguments.__new__(TrainingArguments)
for field in dataclasses.fields(TrainingArguments):
    if field.default is not dataclasses.MISSING:
        arguments.__dict__[field.name] = field.default
    elif field.default_factory is not dataclasses.MISSING:
        arguments.__dict__[field.name] = field.default_factory()
arguments.output_dir, arguments.save_strategy, arguments.lr_scheduler_type = "out", IntervalStrategy.EPOCH, SchedulerType.COSINE
arguments.hub_strategy, arguments.logging_strategy, arguments.push_to_hub = HubStrategy.EVERY_SAVE, IntervalStrategy.STEPS, False
words = tokenizers.Tokenizer(models.WordLevel({"[UNK]": 0, "gate": 1, "model": 2}, unk_token="[UNK]"))
words.pre_tokenizer, words.normalizer = pre_tokenizers.Whitespace(), normalizers.Lowercase()
words.post_processor = processors.TemplateProcessing(single="[UNK] $A", special_tokens=[("[UNK]", 0)])
values = {"training_args": arguments, "tokenizer": words, "added_token": tokenizers.AddedToken("<s>", special=True),
          "encoding": BatchEncoding({"input_ids": [[1, 2]]}), "config": PretrainedConfig(), "models": [models.BPE(), models.WordPiece(), models.Unigram()]}
for name, value in values.items():
    for protocol in (2, 4):
        (out / f"{name}.protocol{protocol}.bin").write_bytes(pickle.dumps(value, protocol=protocol))
