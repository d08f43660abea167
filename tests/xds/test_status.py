"""What a stream's report and the log say about rejections."""

from __future__ import annotations

from structlog.testing import capture_logs

from kuma_core.xds.contract import CLUSTER, LISTENER
from kuma_core.xds.proxy import Proxy
from kuma_core.xds.server.stream import Acknowledgement
from kuma_core.xds.status import LONGEST_REJECTION, MOST_LINES, StreamBook, StreamEntry

HEAD = "Error adding/updating listener(s) "


def entry() -> tuple[StreamBook, StreamEntry]:
    book = StreamBook()
    return book, book.begin(Proxy("default", "web-1"))


def test_a_rejection_that_repeats_is_in_the_log_once_and_then_with_a_count():
    _, stream = entry()
    with capture_logs() as log:
        stream.answered(LISTENER, Acknowledgement("a: cannot bind", refused="a: cannot bind"))
        for pid in range(5):
            again = f"a: cannot bind ({pid})"
            stream.answered(LISTENER, Acknowledgement(again, repeated=True, refused=again))
        stream.answered(LISTENER, Acknowledgement(refused="a: cannot bind"))
        stream.answered(LISTENER, Acknowledgement(version="v1"))
        stream.answered(LISTENER, Acknowledgement(version="v2"))
    first, last = log
    assert (first["log_level"], first["reason"]) == ("warning", "a: cannot bind")
    assert (last["log_level"], last["times"], last["type"]) == ("info", 6, "lds")


def test_what_is_found_out_about_parts_of_a_rejection_is_no_news():
    _, stream = entry()
    with capture_logs() as log:
        stream.answered(LISTENER, Acknowledgement(f"{HEAD}a: cannot bind\nb: cannot bind\n", refused="x"))
        stream.answered(LISTENER, Acknowledgement(f"{HEAD}a: cannot bind\n", refused="x"))
        stream.answered(LISTENER, Acknowledgement(f"{HEAD}b: cannot bind\n", refused="x"))
        stream.answered(LISTENER, Acknowledgement(f"{HEAD}b: no such folder\n", refused="x"))
        stream.answered(CLUSTER, Acknowledgement("a: cannot bind", refused="x"))
    assert [item["reason"].splitlines()[-1].rpartition(" ")[2] for item in log] == ["bind", "folder", "bind"]


def test_a_report_tells_what_is_refused_until_all_of_the_type_is_accepted():
    book, stream = entry()
    stream.answered(LISTENER, Acknowledgement("a; b", refused="a; b"))
    stream.answered(LISTENER, Acknowledgement("a", refused="a\nb"))
    stream.answered(LISTENER, Acknowledgement(refused="b"))
    (report,) = book.take_changed()
    assert report.rejections == {LISTENER: "b"}
    assert report.acknowledged == {}
    assert (report.counts[LISTENER].rejected, report.counts[LISTENER].acknowledged) == (2, 1)
    stream.answered(LISTENER, Acknowledgement(version="v1"))
    (report,) = book.take_changed()
    assert (report.rejections, report.acknowledged) == ({}, {LISTENER: "v1"})


def test_a_client_with_much_to_say_fills_neither_the_log_nor_the_memory():
    book, stream = entry()
    with capture_logs() as log:
        for number in range(3 * MOST_LINES):
            text = f"{number} " + "x" * 10 * LONGEST_REJECTION
            stream.answered(LISTENER, Acknowledgement(text, refused=text))
    assert len(log) <= MOST_LINES + 1
    assert max(len(item["reason"]) for item in log) == LONGEST_REJECTION
    (report,) = book.take_changed()
    assert len(report.rejections[LISTENER]) == LONGEST_REJECTION
