"""What the guide says of lm-evaluation-harness: how it pads, and what PEFT makes of that."""

from __future__ import annotations

import json
import warnings

import pytest
import torch
from lm_eval.__main__ import cli_evaluate
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from peft import PeftModel
from support.small_models import WIDTH
from torch.nn.functional import pad
from transformers import AutoModelForCausalLM, AutoTokenizer

from mpt.prompt.files import save_prompt

TEXTS = ("a", "your text", "a longer text that goes on", "7 . ?")
CHOICE = " yes"


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def base(request, model_folder):
    return model_folder(request.param)


@pytest.fixture(scope="module")
def folder(base, tmp_path_factory):
    weight = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(1))
    return save_prompt(tmp_path_factory.mktemp("lm") / "prompt", weight, str(base), True, {})


@pytest.fixture(scope="module")
def alone(base, folder):
    """Log-likelihoods of the choice behind each text, from embeddings that were put together by hand."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base).eval(), AutoTokenizer.from_pretrained(base)
    prompt = PeftModel.from_pretrained(model, folder).eval().get_prompt(1)
    return torch.stack([weighed(model, prompt, row, tokenizer) for row in TEXTS])


@torch.no_grad()
def weighed(model, prompt, text, tokenizer):
    ids, choice = (tokenizer(part, add_special_tokens=False, return_tensors="pt").input_ids for part in (text, CHOICE))
    embeds = torch.cat([prompt, model.get_input_embeddings()(torch.cat([ids, choice], dim=1))], dim=1)
    logits = model(inputs_embeds=embeds).logits[0, -choice.shape[1] - 1 : -1]
    return logits.log_softmax(-1).gather(1, choice.T).sum()


@torch.no_grad()
def test_right_padded_sums_are_those_of_each_text_alone_and_left_padded_are_not(base, folder, alone):
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder).eval()
    choice = tokenizer(CHOICE, add_special_tokens=False).input_ids
    rows = [torch.tensor(tokenizer(text, add_special_tokens=False).input_ids + choice) for text in TEXTS]
    width = max(map(len, rows))
    right = torch.stack([pad(row, (0, width - len(row))) for row in rows])
    logits = model(right).logits.log_softmax(-1)  # as the harness: without a mask
    count, own = len(choice), torch.tensor(choice)[:, None]
    ends = [5 + len(row) for row in rows]
    sums = [logits[i, end - count - 1 : end - 1].gather(1, own).sum() for i, end in enumerate(ends)]
    torch.testing.assert_close(torch.stack(sums), alone, rtol=1e-4, atol=1e-4)
    left = torch.stack([pad(row, (width - len(row), 0)) for row in rows])
    mask = torch.stack([pad(torch.ones_like(row), (width - len(row), 0)) for row in rows])
    logits = model(left, attention_mask=mask).logits.log_softmax(-1)[:, -count - 1 : -1]
    sums = logits.gather(2, own.expand(len(rows), -1, 1)).sum((1, 2))
    assert (sums - alone).abs().max() > 0.1


@pytest.mark.parametrize("size", [1, 4])
def test_the_harness_itself(base, folder, alone, size):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lm = HFLM(pretrained=str(base), peft=str(folder), batch_size=size, device="cpu", dtype="float32")
        asked = [Instance("loglikelihood", {}, (text, CHOICE), i) for i, text in enumerate(TEXTS)]
        said = [value for value, _ in lm.loglikelihood(asked, disable_tqdm=True)]
    torch.testing.assert_close(torch.tensor(said), alone, rtol=1e-4, atol=1e-4)


TASK = """task: yes_or_no
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/rows.jsonl}}, cache_dir: {folder}/cache}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{text}}}}"
doc_to_choice: ["yes", "no"]
doc_to_target: label
metric_list: [{{metric: acc}}]
"""


# one kind: the harness reads all of its own tasks first, which takes it seconds
@pytest.mark.parametrize("base", ["llama"], indirect=True)
def test_the_command_of_the_guide_on_a_task_of_ones_own(base, folder, alone, tmp_path, monkeypatch):
    rows = [{"text": text, "label": i % 2} for i, text in enumerate(TEXTS)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "yes_or_no.yaml").write_text(TASK.format(folder=tmp_path))
    options = f"--model hf --model_args pretrained={base},peft={folder},dtype=float32 --tasks yes_or_no --device cpu"
    places = f"--include_path {tmp_path} --output_path {tmp_path / 'out'} --batch_size 4 --log_samples"
    monkeypatch.setattr("sys.argv", ["lm_eval", *options.split(), *places.split()])
    cli_evaluate()
    (samples,) = (tmp_path / "out").rglob("samples_yes_or_no_*.jsonl")
    found = {
        row["doc"]["text"]: float(row["filtered_resps"][0][0])
        for row in map(json.loads, samples.read_text().splitlines())
    }
    torch.testing.assert_close(torch.tensor([found[text] for text in TEXTS]), alone, rtol=1e-4, atol=1e-4)
