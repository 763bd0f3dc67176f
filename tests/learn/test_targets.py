"""What a backbone can never answer is told before it learns."""

from __future__ import annotations

from string import ascii_letters
from typing import Any

import pytest
from support.small_models import byte_tokenizer
from support.small_tokenizers import unigram
from tokenizers import normalizers

from mpt.backbone.encoding import Encoder
from mpt.data.modules.denoising import OBJECTIVES, SENTINELS, sentinel, words_of
from mpt.data.modules.episodes import EpisodeData
from mpt.data.modules.few_shot import FewShotData
from mpt.data.modules.mixture import MixtureData
from mpt.data.tasks.outputs import Outputs
from mpt.data.tasks.task import Example
from mpt.learn.targets import check_sentinels, check_targets
from mpt.util.errors import UserError
from mpt.util.stable_random import StableRandom


def examples(*outputs: str | tuple[str, ...]) -> list[Example]:
    return [Example("x", (output,) if isinstance(output, str) else output) for output in outputs]


def told(limit: int = 20, metric: str | None = "ACC", labels: tuple[str, ...] = (), **splits: Any) -> list[str]:
    task = Outputs("t", {name: examples(*outputs) for name, outputs in splits.items()}, metric, labels)
    return check_targets(Encoder(unigram(), False, 20, limit), [task])


def test_what_is_cut_is_counted_by_split():
    # A sign is a token; ▁ comes before and </s> after.
    (said,) = told(5, train=["abc", "abcd"], dev=["a"], test=["abcdef", ("abcdef", "ab"), ("a" * 9, "abcde"), "b"])
    assert said == (
        "1 of 2 train and 2 of 4 test outputs of t are longer than max_target_length=5 tokens, so that they are cut "
        "and cannot be reached; 8 tokens are enough for all"
    )
    assert told(8, train=["abc", "abcd"], test=["abcdef", ("a" * 9, "abcde")]) == []


def test_one_very_long_output_does_not_decide_what_is_advised():
    (said,) = told(5, train=["a", "b"], test=["abcdef"] * 200 + ["a" * 500])
    assert "201 of 201 test outputs" in said and said.endswith("; 502 tokens are enough for all, 8 for 99 %")


def test_training_predicts_the_first_reference_or_any_that_is_drawn():
    splits = {"train": examples(("a", "abcdef"), ("abcdef", "a"))}
    encode = Encoder(unigram(), False, 20, 5)
    for drawn, cut in ((False, 1), (True, 2)):
        (said,) = check_targets(encode, [Outputs("t", splits, "EM", drawn=drawn)])
        assert said.startswith(f"{cut} of 2 train outputs")


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("{yes}", "'{yes}' as 'yes'"),
        ("very  good", "'very  good' as 'very good'"),
        ("a\nb", r"'a\nb' as 'a b'"),
        ("naïve", "'naïve' as 'nave'"),
        ("ｏｋ", "'ｏｋ' as 'ok'"),
        ("o\u200bk", r"'o\u200bk' as 'ok'"),
    ],
)
def test_a_label_that_cannot_be_written_is_told_with_what_comes_back(label, shown):
    (said,) = told(train=[label, "no", "no"], dev=["no"], test=[label, (label, "no")], labels=(label, "no"))
    assert said.startswith("1 of 3 train and 1 of 2 test outputs of t are none that the backbone's tokenizer can write")
    assert said.endswith(f"it would write {shown}")


def test_what_a_metric_does_not_look_at_is_no_loss():
    assert told(metric="EM", train=["{yes}", "the  end."]) == []
    assert told(metric="Rouge-L", train=["very  good"]) == [] != told(metric="Rouge-L", train=["{yes}"])
    assert told(metric="Classification-F1", train=["very  good"]) != []
    assert told(metric="Pearson-Correlation", train=["1.0", " 2.50 "]) == []


@pytest.mark.parametrize(
    ("labels", "limit", "why"),
    [
        (("😀", "😡"), 20, "to the backbone's tokenizer, which writes nothing for either; give them words"),
        (("a  b", "a b"), 20, "to the backbone's tokenizer, which writes 'a b' for both"),
        (("ｏｋ", "ok"), 20, "'ok' for both"),
        (("cafe\u0301", "caf\u00e9"), 20, r"labels 'cafe\u0301' and 'caf\xe9' of t are one and the same"),
        (("not good", "not bad"), 6, "when they are cut to max_target_length=6 tokens; raise it to 10"),
    ],
)
def test_labels_that_are_one_target_are_refused(labels, limit, why):
    for given in (labels, ()):  # a task of the user's own does not say that its outputs are labels
        with pytest.raises(UserError, match="are one and the same") as error:
            told(limit, train=list(labels) * 2, labels=given)
        assert why in str(error.value)


def test_outputs_that_are_no_labels_may_be_cut_alike():
    (said,) = told(6, train=["not good", "not bad", "not so", "fine"])
    assert "3 of 4 train outputs" in said


def test_labels_that_a_metric_takes_for_one_are_one():
    uncased = unigram()
    uncased.backend_tokenizer.normalizer = normalizers.Lowercase()
    encode = Encoder(uncased, False, 20, 20)
    splits = {"train": examples("yes", "Yes", "no")}
    assert check_targets(encode, [Outputs("t", splits, "ACC", ("yes", "Yes", "no"))]) == []
    with pytest.raises(UserError, match="'yes' and 'Yes' of t"):
        check_targets(encode, [Outputs("t", splits, "Classification-F1", ("yes", "Yes", "no"))])


def test_of_tasks_that_are_learned_together_those_are_told_that_it_concerns_most():
    tasks = [Outputs(name, {"train": examples(*outputs)}) for name, outputs in {
        "fine": ["a"], "half": ["a", "abcdef"], "emoji": ["😀", "😡"] * 2, "all": ["abcdef", "abcdefg"],
        **{f"more{i}": ["abcdef", *"abcdefgh"] for i in range(5)}}.items()]  # fmt: skip
    clash, cut, changed = check_targets(Encoder(unigram(), False, 20, 5), tasks)
    assert clash.startswith("the labels '😀' and '😡' of emoji are one and the same")
    assert cut.endswith("all 2 of 2, half 1 of 2, more0 1 of 9, more1 1 of 9, more2 1 of 9 and less of 2 more")
    assert changed.endswith("so that no answer can equal them: emoji 4 of 4")


def test_a_tokenizer_of_bytes_can_write_anything():
    texts = ["{yes}", "very  good", "a\nb", "ｏｋ", "naïve", "😀", "cafe\u0301", "good ."]
    for decoder_only in (False, True):
        encode = Encoder(byte_tokenizer(not decoder_only), decoder_only, 40, 40)
        assert check_targets(encode, [Outputs("t", {"train": examples(*texts)}, "Classification-F1")]) == []


def test_sentinels_that_a_tokenizer_lacks_are_told():
    plain, known = byte_tokenizer(False), byte_tokenizer(False)
    known.add_tokens(["<extra_id_0>"])
    lacking = Encoder(plain, True, 8, 8)
    (told,) = check_sentinels(lacking, [None, "span-corruption"])
    assert "no token <extra_id_0>, so that span-corruption writes it letter by letter" in told
    assert check_sentinels(lacking, ["prefix-lm", None]) == []
    assert check_sentinels(Encoder(known, True, 8, 8), ["iid-denoising"]) == []
    (told,) = check_sentinels(Encoder(unigram(), False, 8, 8), ["iid-denoising"])
    assert "iid-denoising writes it letter by letter" in told


@pytest.mark.parametrize(
    "text", ["the big dog saw a cat", "เมืองหลวงของฝรั่งเศสเป็นเมืองที่ใหญ่มาก", "法国的首都是一个非常大的城市"]
)
@pytest.mark.parametrize("objective", SENTINELS)
def test_a_sentinel_is_a_token_of_mt5_in_any_script(text, objective):
    """A piece of mT5's vocabulary has the space before it."""
    read = unigram(
        closing=False, more=[*(f"▁{sentinel(number)}" for number in range(9)), *({*text} - {*ascii_letters, " "}), "<"]
    )
    assert check_sentinels(Encoder(read, False, 8, 8), [objective]) == []
    for seed in range(20):
        for side in OBJECTIVES[objective](words_of(text), StableRandom(seed)):
            pieces = read.tokenize(side)
            assert "<" not in pieces and f"▁{sentinel(0)}" in pieces
            assert sum("extra_id" in piece for piece in pieces) == side.count("<extra_id_")


def test_data_modules_say_what_is_learned_and_scored():
    names, size = ("syn-size-ad", "syn-find-hour"), {"syn-size-ad": 32, "syn-find-hour": 32}
    few = FewShotData(names[0], test_examples=7).outputs()
    assert [(one.metric, one.labels) for one in few] == [("ACC", ("major", "minor"))]
    assert {split: len(rows) for split, rows in few[0].splits.items()} == {"train": 32, "dev": 32, "test": 7}
    mixed = MixtureData(list(names), seeds=[13], splits=["train"], validation=["syn-list-last"]).outputs()
    episodes = EpisodeData(list(names), seeds=[13], validation=["syn-list-last"], references="drawn").outputs()
    for found, metric, parts in ((mixed, None, 1), (episodes, "EM", 2)):
        *sources, held_out = found
        assert {one.name: len(one.splits["train"]) for one in sources} == {name: parts * size[name] for name in names}
        assert [one.labels for one in sources] == [("major", "minor"), ()] and {one.metric for one in sources} == {None}
        assert (held_out.name, held_out.metric, list(held_out.splits)) == ("syn-list-last", metric, ["dev"])
        assert len(held_out.splits["dev"]) == 32 and held_out.splits["dev"][0].targets[0]
    assert [one.drawn for one in episodes[:2]] == [True, True]
