"""The diagrams: drawn from the text that stands beside them, and the DAG's is the DAG as it is."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pygraphviz
import pytest
from airflow.dag_processing.dagbag import DagBag

from tests.docs.documents import PROJECT
from tools.documents.drawing import digest, draw

SOURCES = sorted((PROJECT / "docs" / "diagrams").glob("*.dot"))
AGAIN = "make diagrams"


@pytest.mark.parametrize("source", SOURCES, ids=lambda file: file.stem)
def test_each_picture_is_of_the_text_beside_it(source: Path) -> None:
    picture = source.with_suffix(".svg").read_text("utf-8")
    assert f"<!-- source: {digest(source.read_text('utf-8'))} -->" in picture, f"the picture is old: {AGAIN}"


@pytest.mark.parametrize("source", SOURCES, ids=lambda file: file.stem)
def test_each_text_can_be_drawn(source: Path) -> None:
    drawn = ET.fromstring(draw(source.read_text("utf-8")).encode())  # noqa: S314 - our own
    assert drawn.tag.endswith("svg")
    letters = [element for element in drawn.iter() if element.tag.endswith("use")]
    assert len(letters) > 100, "letters are outlines, whatever fonts the reader has"
    assert not [element for element in drawn.iter() if element.tag.endswith("text")]


def test_what_is_no_graph_is_refused() -> None:
    with pytest.raises(ValueError, match="Invalid Input"):
        draw("digraph { a -> ")


def test_the_dag_is_shown_as_it_is(project: Path) -> None:
    bag = DagBag(f"{project}/dags")
    dag = bag.dags["fruits_features"]
    shown = pygraphviz.AGraph(string=(project / "docs" / "diagrams" / "fruits_features.dot").read_text("utf-8"))
    assert set(shown.nodes()) == {task.task_id for task in dag.tasks}, AGAIN
    edges = {(task.task_id, below) for task in dag.tasks for below in task.downstream_task_ids}
    assert {(str(above), str(below)) for above, below in shown.edges()} == edges, AGAIN
