"""Which column is the input, which the output: by usual names, or as the client says."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from eval.errors import RequestError
from eval.findings import Finding
from eval.reading.conversations import (
    Turn,
    before_reply,
    holds_more_than_text,
    is_answered,
    is_message,
    reply_of,
    text_of,
    transcript,
    turns_of,
    unread_turns,
)
from eval.reading.tables import Row, Table
from eval.reading.text import UNSPACED, as_text, clean, conjoined, counted

# fmt: off
INPUTS = (
    "input", "question", "query", "prompt", "instruction", "message", "utterance", "sentence", "request", "command",
    "inquiry", "text", "headline", "review", "comment", "document", "article", "passage", "clause", "transcript",
    "dialogue", "dialog", "conversation", "messages", "conversations", "content", "body", "description", "title",
    "subject", "ticket", "email", "source", "frage", "nachricht", "anfrage",
)
"""Usual names of the input, the most telling first."""
OUTPUTS = (
    "output", "label", "answer", "completion", "response", "target", "class", "category", "intent", "answers",
    "references", "reference", "targets", "expected", "expected_output", "ground_truth", "gold", "reply",
    "solution", "summary", "translation", "sentiment", "topic", "tag", "tags", "labels", "result", "rating", "stars",
    "antwort", "kategorie", "klasse",
)
"""Usual names of the output, the most telling first."""
# fmt: on
COMPANIONS = {"instruction": ("input", "context"), "question": ("context",)}
"""Columns that belong to the input where both are there."""
IDS = ("id", "_id", "uid", "uuid", "guid", "example_id", "row_id")
CHATS = ("messages", "conversations", "conversation")
MOST_UNREAD = 5
"""So many columns that are not read are named."""
NO_NAMES = ("from", "for")
"""Columns of mails that a sentence holds as any word; so it does shorter ones."""


@dataclass(frozen=True)
class ColumnMapping:
    """The columns that examples are made of."""

    inputs: tuple[str, ...]
    output: str
    id: str | None
    chat: bool = False
    """Input and output are the turns of one conversation, in the only input column; where no output is asked for, only
    a reply that ends it is none of the input."""
    empty_lists: bool = False
    """An empty list is an output, as in a column of lists of objects; else it is no answer among those accepted."""

    def input_of(self, row: Row) -> str:
        """Return the input text; several columns become lines of `name: value`."""
        turns = self._asked(row)
        if turns is not None:
            return transcript(turns)
        texts = [(name, _input_text(row.values.get(name))) for name in self.inputs]
        if len(texts) == 1:
            return texts[0][1]
        return "\n".join(f"{name}: {text}" for name, text in texts if text)

    def targets_of(self, row: Row) -> tuple[str, ...]:
        """Return the accepted answers, preferred first; none where the cell is blank."""
        value = row.values.get(self.output)
        if turns := turns_of(value):
            return tuple(filter(None, [reply_of(turns)]))
        if isinstance(value, dict) and {"text", "answer_start"} == set(value):  # SQuAD
            value = value["text"]
        if value == {} or (self.empty_lists and value == []):  # in which nothing was found
            return (json.dumps(value),)
        items = value if isinstance(value, list) else [value]
        if _is_one_value(items):
            items = [value]
        return tuple(dict.fromkeys(filter(None, map(as_text, items))))

    def holds_more_than_text(self, row: Row) -> bool:
        """Tell whether there are pictures, sound or files in the input, which are not read."""
        turns = self._asked(row)
        cells = [row.values.get(name) for name in self.inputs] if turns is None else [list(turns)]
        return any(map(holds_more_than_text, cells))

    def unread(self, table: Table) -> str:
        """A sentence on what of conversations in the input is not read; empty where there is nothing."""
        conversations = [turns_of(row.values.get(name)) for row in table.rows for name in self.inputs]
        return unread_turns(conversations, answered=self.chat and bool(self.output))

    def _asked(self, row: Row) -> Sequence[Turn] | None:
        """The turns before the reply of a conversation that holds the output; None of other inputs."""
        turns = turns_of(row.values.get(self.inputs[0])) if self.chat else []
        return before_reply(turns) if self.chat and (self.output or is_answered(turns)) else None

    def finding(self, table: Table) -> Finding:
        """State the mapping, and the columns that were ignored because nothing is in them."""
        if self.chat:
            message = f'Read the last assistant turn of "{self.output}" as the output and the turns before it'
            message += " as the input."
        else:
            message = f'Read {quoted(self.inputs)} as the input and "{self.output}" as the output.'
        message += self.unread(table)
        ignored = [name for name in table.columns if is_ignored(table, name) and name != self.output]
        if unread := self._left(table):
            message += f" In neither: {some_quoted(unread)}."
        if ignored:
            message += f" Ignored the empty or unnamed column{'s' * (len(ignored) > 1)} {quoted(ignored)}."
        twice = [name for name in (*self.inputs, self.output) if any(_repeats(other, name) for other in table.columns)]
        if twice:
            message += f" There are several columns called {quoted(twice)}: the first was read."
        action = "If this is wrong, say so with --input-columns and --output-column."
        return Finding("column_mapping", "info", 1, (), message, action)

    def named_unread(self, table: Table, task: str) -> Finding | None:
        """Columns that the task's sentence names and that are not read, unless these are ids alone."""
        named = [name for name in self._left(table) if _is_named(name, task)]
        if self.chat or all(_is_key(table, name) for name in named):
            return None
        are, they = ("are", "them") if len(named) > 1 else ("is", "it")
        flag = f"--input-columns {shlex.quote(','.join((*self.inputs, *named)))}"
        message = f"The task speaks of {quoted(named)}, which {are} not read."
        action = f"Add {they} with {flag} if answers hang on {they}."
        return Finding("column_mapping", "warning", len(named), (), message, action)

    def _left(self, table: Table) -> list[str]:
        """The columns that could matter and are not read."""
        read = (*self.inputs, self.output, self.id)
        return [name for name in table.columns if name not in read and not is_ignored(table, name)]


def map_columns(table: Table, input_columns: Sequence[str] = (), output_column: str | None = None) -> ColumnMapping:
    """Choose the columns; RequestError names those found where the choice would be a guess."""
    inputs = tuple(_given(table, name, "--input-columns") for name in input_columns)
    output = _given(table, output_column, "--output-column") if output_column else None
    identifier = find_column(table, IDS)
    if not inputs and output is None:
        chat = _chat_column(table)
        if chat:
            return ColumnMapping((chat,), chat, identifier, chat=True)
    output = output or find_column(table, OUTPUTS, without=inputs)
    if inputs and output is None:
        output = next(iter(_only_other(table, (*inputs, identifier))), None)
    inputs = inputs or _usual_inputs(table, without=(output or "",))
    if output is not None:
        inputs = inputs or _only_other(table, (output, identifier))
    if not inputs or output is None:
        raise _unclear(table, "input" if not inputs and output else "output" if inputs else "input or output")
    if output in inputs:
        raise RequestError(f'Column "{output}" cannot be both input and output: change one of the two flags.')
    identifier = None if identifier in (*inputs, output) else identifier
    empty_lists = any(_is_one_value(row.values.get(output)) for row in table.rows)
    return ColumnMapping(inputs, output, identifier, empty_lists=empty_lists)


def map_inputs(table: Table, input_columns: Sequence[str] = ()) -> tuple[list[str | None], str]:
    """The inputs alone, for data without outputs, and a sentence on where they were read.

    There is one for each row of the file, in order: empty where a row has none, None where it could not be read.
    """
    inputs = tuple(_given(table, name, "--input-columns") for name in input_columns) or _usual_inputs(table, ())
    if not inputs:
        raise _unclear(table, "input")
    chat = plain(inputs[0]) in CHATS and not input_columns  # which are named where a reply was not the output
    mapping = ColumnMapping(inputs, "", None, chat)
    found: dict[int, str | None] = {row.line: mapping.input_of(row) for row in table.rows}
    found |= dict.fromkeys(table.blank, "") | dict.fromkeys(table.unread)
    sentence = f"Read {quoted(inputs)} as the input.{mapping.unread(table)}"
    if more := sum(mapping.holds_more_than_text(row) for row in table.rows):
        sentence += f" Of {counted(more, 'row')} with pictures, sound or files there, the text alone is read."
    return [found[line] for line in sorted(found)], sentence


def find_column(table: Table, names: Sequence[str], without: Sequence[str] = ()) -> str | None:
    """Return the first column with one of these names, ignoring case; columns that hold something come first."""
    known = [column for column in table.columns if column not in without and plain(column) in names]
    return min(known, key=lambda column: (table.is_empty(column), names.index(plain(column))), default=None)


def is_ignored(table: Table, column: str) -> bool:
    """Tell whether a column cannot matter: nothing is in it, or it has no name (a row number, as a rule)."""
    return table.is_empty(column) or not column.strip() or re.fullmatch(r"Unnamed: \d+", column) is not None


def _is_named(column: str, sentence: str) -> bool:
    """Tell whether a column's name stands in a sentence, as one or as several of it (prices)."""
    name, letter = plain(column), rf"[^\W_{UNSPACED}]"
    if name in NO_NAMES or len(name) < (3 if name.isascii() else 2):
        return False
    wanted = rf"(?<!{letter}){re.escape(name.removesuffix('s'))}s?(?!{letter})"
    return re.search(wanted, plain(sentence)) is not None


def _is_key(table: Table, column: str) -> bool:
    """Tell whether a column's cells are single words of which none comes twice, as numbers of tickets are."""
    cells = [text for row in table.rows if (text := as_text(row.values.get(column)))]
    return len(set(cells)) == len(cells) and not any(" " in cell for cell in cells)


def _repeats(column: str, name: str) -> bool:
    """Tell whether a column was called `name` in the file, like one before it."""
    return re.fullmatch(rf"{re.escape(name)} \(\d+\)", column) is not None


def plain(column: str) -> str:
    """Return a column's name in lower case with underscores: `Expected Output` is `expected_output`."""
    return re.sub(r"[\s_-]+", "_", clean(column).lower())


def quoted(names: Iterable[str]) -> str:
    """Return names in quotes for a sentence: `"a", "b" and "c"`."""
    return conjoined([f'"{name}"' for name in names])


def some_quoted(names: Sequence[str]) -> str:
    """Return names in quotes as `quoted` does, of many the first: `"a", "b", "c", "d", "e" and 3 others`."""
    if len(names) <= MOST_UNREAD + 1:
        return quoted(names)
    return conjoined([*(f'"{name}"' for name in names[:MOST_UNREAD]), f"{len(names) - MOST_UNREAD} others"])


def _usual_inputs(table: Table, without: Sequence[str]) -> tuple[str, ...]:
    lead = find_column(table, ("instruction",), without) or find_column(table, INPUTS, without)
    if lead is None:
        return ()
    companions = (find_column(table, (name,), without) for name in COMPANIONS.get(plain(lead), ()))
    return (lead, *(name for name in companions if name and not table.is_empty(name)))


def _only_other(table: Table, known: Collection[str | None]) -> tuple[str, ...]:
    """The one column that is left, if there is just one: it can then be nothing else."""
    left = tuple(column for column in table.columns if column not in known and not is_ignored(table, column))
    return left if len(left) == 1 else ()


def _given(table: Table, name: str, flag: str) -> str:
    if name in table.columns:
        return name
    same = [column for column in table.columns if plain(column) == plain(name)]
    if len(same) != 1:
        found = f"{table.name} has the columns {quoted(table.columns)}"
        raise RequestError(f'{flag} names "{name}", but {found}.{assumed(table)}')
    return same[0]


def _unclear(table: Table, what: str) -> RequestError:
    usable = [c for c in table.columns if not is_ignored(table, c)] or table.columns
    flags = {"input": "it with --input-columns", "output": "it with --output-column"}
    missing = flags.get(what, "them with --input-columns and --output-column")
    return RequestError(
        f"{table.name} has the columns {quoted(usable)}, and none is known to be the {what}: name {missing} "
        f"(a table needs its column names in the first row).{assumed(table)}"
    )


def assumed(table: Table) -> str:
    """What reading the table assumed of its sheets and rows, which may be why the columns are not those wanted."""
    return "".join(f" {f.message} {f.action}" for f in table.findings if f.code == "column_mapping")


def _chat_column(table: Table) -> str | None:
    """The column of conversations of which most end with a reply, if there is one."""
    column = find_column(table, CHATS)
    conversations = [turns_of(row.values.get(column)) for row in table.rows] if column else []
    answered = sum(map(is_answered, conversations))
    return column if 2 * answered > sum(map(bool, conversations)) else None


def _is_one_value(value: object) -> bool:
    """Tell whether a list is one JSON value, not several accepted answers: of objects or lists."""
    return isinstance(value, list) and any(isinstance(item, dict | list) for item in value) and not turns_of(value)


def _input_text(value: object) -> str:
    if turns := turns_of(value):
        return transcript(turns)
    if is_message(value):
        return text_of(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return as_text("\n".join(value))
    return as_text(value)
