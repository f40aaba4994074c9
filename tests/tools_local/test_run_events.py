import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.local_run.run_events import RunEnded, RunKnown, RunRefused, TaskChanged, format_event, parse_event

names = st.text(max_size=30)
events = st.one_of(
    st.builds(RunKnown, names, st.lists(names).map(tuple)),
    st.builds(TaskChanged, names, names, st.floats(0, 1e10), st.integers(0, 9), names),
    st.builds(RunEnded, names, st.dictionaries(names, names)),
    st.builds(RunRefused, names),
)


@given(events)
def test_an_event_is_read_as_it_was_written_from_one_line(
    event: RunKnown | TaskChanged | RunEnded | RunRefused,
) -> None:
    line = format_event(event)
    assert len(line.splitlines()) == 1
    assert parse_event(line) == event


@pytest.mark.parametrize("line", ["", "hello", "[]", "{}", '{"event": "run_ended"}', json.dumps({"event": "other"})])
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="is no event of a run"):
        parse_event(line)
