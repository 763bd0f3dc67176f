"""What a tokenizer's chat template writes around an input and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mpt.util.errors import UserError, one_line

_INPUT, _ANSWER, _SPACE = "the-input-of-a-turn", "the-answer-to-it", "\t"

_DAY = "{% macro strftime_now(format) -%} 26 Jul 2024 {%- endmacro %}\n"
"""In front of a template, whose text must not change with the day: the date that Llama 3's has without a clock."""


@dataclass(frozen=True)
class ChatTemplate:
    """A user's turn and the assistant's answer, as a model for chats was trained on them.

    Attributes:
        head: what stands before an input, a start token and a system's turn with it.
        tail: what stands between an input and what the model writes.
        lead: white space that an answer begins with.
        end: what follows an answer, up to the token that ends the turn.
        end_token: that token.
        trims_input: whether white space around an input is left out.
        trims_answer: likewise around an answer.
    """

    head: str
    tail: str
    lead: str
    end: str
    end_token: str
    trims_input: bool
    trims_answer: bool

    @classmethod
    def of(cls, tokenizer: Any) -> ChatTemplate:
        """A tokenizer's own.

        Raises:
            UserError: it has none, or one that does not write an input and an answer once each.
        """
        name, way = f"backbone {tokenizer.name_or_path}", "leave out backbone_options.chat_template"
        if not tokenizer.chat_template:
            raise UserError(
                f"{name}: its tokenizer has no chat template; {way}, or use a model that was made for chats"
            )
        turns = [
            {"role": role, "content": f"{_SPACE}{text}{_SPACE}"}
            for role, text in (("user", _INPUT), ("assistant", _ANSWER))
        ]
        try:
            head, rest = _written(tokenizer, turns).split(_INPUT)
            between, after = rest.split(_ANSWER)
            asked = _written(tokenizer, turns[:1], add_generation_prompt=True).split(_INPUT)[1]
        except Exception as error:  # templates are programs, which raise what they like
            raise UserError(
                f"{name}: its chat template writes no user's turn and answer to it ({one_line(error)}); {way}"
            ) from error
        trims_input, trims_answer = not head.endswith(_SPACE), not after.startswith(_SPACE)
        asked, between = (text if trims_input else text.removeprefix(_SPACE) for text in (asked, between))
        between = between if trims_answer else between.removesuffix(_SPACE)
        tail, lead = between, ""
        # A template may ask for an answer otherwise than it writes one (thinking first, or on another channel); then
        # all that it writes before the answer is given to the model.
        if between.startswith(asked) and not between[len(asked) :].strip():
            tail, lead = asked, between[len(asked) :]
        end, end_token = _end(tokenizer, after.removeprefix(_SPACE))
        return cls(
            head=head.removesuffix(_SPACE),
            tail=tail,
            lead=lead,
            end=end,
            end_token=end_token,
            trims_input=trims_input,
            trims_answer=trims_answer,
        )

    def turn(self, text: str) -> str:
        """All that the model reads of an input."""
        return self.head + (text.strip() if self.trims_input else text) + self.tail

    def answer(self, text: str) -> str:
        """All that the model is to write."""
        return self.lead + (text.strip() if self.trims_answer else text) + self.end


def _written(tokenizer: Any, turns: list[dict[str, str]], **options: Any) -> str:
    template = tokenizer.get_chat_template()
    # Where a template can have the model think before it answers, it is told not to.
    text: str = tokenizer.apply_chat_template(
        turns, chat_template=_DAY + template, tokenize=False, enable_thinking=False, **options
    )
    return text


def _end(tokenizer: Any, after: str) -> tuple[str, str]:
    """What follows an answer up to the first token of the template's own; the end of sequence where there is none."""
    known = [*tokenizer.get_added_vocab(), tokenizer.eos_token]
    found = [(after.index(token), -len(token), token) for token in known if token.strip() and token in after]
    if not found:
        return tokenizer.eos_token, tokenizer.eos_token
    place, length, token = min(found)
    return after[: place - length], token
