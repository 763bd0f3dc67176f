"""Chat templates as models in use have them, a tokenizer of bytes that has one, and a small model for it."""

from __future__ import annotations

from pathlib import Path

from support.small_models import BOS, VOCABULARY, byte_tokenizer, llama
from tokenizers import processors
from transformers import PreTrainedTokenizerFast

START, END, HEADER = "<|im_start|>", "<|im_end|>", "<|header|>"
TEMPLATES = {
    "chatml": (
        "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}{{ '<|im_start|>system\nYou "
        "are kind<|im_end|>\n' }}{% endif %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + "
        "'<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    "llama3": (
        "{% for message in messages %}{% set text = '<|im_start|>' + message['role'] + '<|header|>\n\n' + "
        "message['content'] | trim + '<|im_end|>' %}{{ bos_token + text if loop.first else text }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant<|header|>\n\n' }}{% endif %}"
    ),
    "gemma": (
        "{{ bos_token }}{% for message in messages %}{{ '<|im_start|>' + ('model' if message['role'] == 'assistant' "
        "else message['role']) + '\n' + message['content'] | trim + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>model\n' }}{% endif %}"
    ),
    "llama2": (
        "{% for message in messages %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + message['content'] |"
        " trim + ' [/INST]' }}{% else %}{{ ' ' + message['content'] | trim + ' ' + eos_token }}{% endif %}{% endfor %}"
    ),
}


def chat_tokenizer(template: str | None) -> PreTrainedTokenizerFast:
    """Bytes and three tokens of a chat; it puts a start token before every text, as Llama's and Gemma's do."""
    made = byte_tokenizer(False, bos_token="<s>")
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", BOS)]
    )
    made.add_special_tokens({"additional_special_tokens": [START, END]})
    made.add_tokens([HEADER])
    made.chat_template = template
    return made


def chat_model(folder: Path, name: str) -> Path:
    """A Llama whose own end of sequence is not the end of a turn."""
    llama(folder, vocab_size=VOCABULARY + 3)
    chat_tokenizer(TEMPLATES[name]).save_pretrained(folder)
    return folder
