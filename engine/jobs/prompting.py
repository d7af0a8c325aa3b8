"""From a row to a prompt: by a Jinja2 template, or an instruction in the chat template."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import StrictUndefined
from jinja2 import TemplateError as JinjaError
from jinja2.sandbox import SandboxedEnvironment

from ...schemas.errors import JobError, ValidationError

INSTRUCTION = "Extract the record from the text. Answer with JSON only."
Chat = Callable[[Sequence[Mapping[str, Any]]], str]


@dataclass(frozen=True)
class PromptForm:
    """How prompts are made. `template` is Jinja2 over the fields of a row, and `schema`.

    Without one the prompt is the instruction and the field `text_field`; `chat` None puts them into
    the chat template of the model if it has one. `show_schema` shows the schema to the model.
    """

    text_field: str = "text"
    instruction: str = INSTRUCTION
    template: str | None = None
    chat: bool | None = None
    show_schema: bool = False


class Prompter:
    """Makes the prompts of one job."""

    def __init__(self, form: PromptForm, schema: object, chat: Chat | None) -> None:
        """`chat` renders messages, None if the model has no template. Raises JobError."""
        self._form = form
        self._schema = json.dumps(schema, ensure_ascii=False)
        if form.chat and chat is None:
            raise JobError("this model has no chat template; leave out --chat", parameter="chat")
        self._chat = None if form.chat is False or form.template is not None else chat
        environment = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
        try:
            self._template = (
                None if form.template is None else environment.from_string(form.template)
            )
        except JinjaError as error:
            raise JobError(f"the template is not Jinja2: {error}", parameter="template") from error

    @property
    def text_field(self) -> str:
        """The field of a row that holds its text, where no template says otherwise."""
        return self._form.text_field

    @property
    def special_tokens(self) -> bool:
        """Whether the tokenizer adds its own: a chat template writes them itself."""
        return self._chat is None

    def prompt(self, values: Mapping[str, Any]) -> str:
        """Return the prompt for a row. Raises ValidationError if the row lacks what it needs."""
        if self._template is not None:
            try:
                return self._template.render({**values, "schema": self._schema})
            except (JinjaError, ArithmeticError, LookupError, TypeError, ValueError) as error:
                raise ValidationError(f"the template cannot render this row: {error}") from error
        text = values.get(self._form.text_field)
        if not isinstance(text, str):
            raise ValidationError(f"the row has no text in the field {self._form.text_field!r}")
        instruction = self._form.instruction
        if self._form.show_schema:
            instruction += f"\nThe JSON matches this JSON Schema: {self._schema}"
        if self._chat is None:
            return f"{instruction}\n\n{text}\n\nJSON:\n"
        messages = [{"role": "user", "content": f"{instruction}\n\n{text}"}]
        return self._chat(messages)
