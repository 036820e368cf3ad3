"""The Hugging Face Trainer as its examples have it: HfArgumentParser, and W&B by report_to."""

from dataclasses import dataclass, field

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    HfArgumentParser,
    Trainer,
    TrainingArguments,
    set_seed,
)


@dataclass
class ModelArguments:
    hidden_size: int = field(default=16)
    dropout: float = field(default=0.1)


class Parity(torch.utils.data.Dataset):
    """Whether a row of tokens holds more small than large ones."""

    def __init__(self, size):
        self.tokens = torch.randint(2, 32, (size, 8))

    def __len__(self):
        return len(self.tokens)

    def __getitem__(self, index):
        tokens = self.tokens[index]
        return {"input_ids": tokens, "attention_mask": torch.ones(8), "labels": int((tokens < 17).sum() > 4)}


def main():
    model_args, training_args = HfArgumentParser((ModelArguments, TrainingArguments)).parse_args_into_dataclasses()
    set_seed(training_args.seed)
    config = BertConfig(
        vocab_size=32,
        hidden_size=model_args.hidden_size,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        hidden_dropout_prob=model_args.dropout,
        max_position_embeddings=16,
    )
    trainer = Trainer(
        model=BertForSequenceClassification(config),
        args=training_args,
        train_dataset=Parity(128),
        eval_dataset=Parity(64),
    )
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    main()
