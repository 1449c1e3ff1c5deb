"""Wild stamps are held back; a jump of most streams is a jump of time."""

from __future__ import annotations

from distilldrive_ros.sync.time_guard import Jump, TimeGuard, Verdict

S = 1_000_000_000


class Feed:
    """Three streams; stamps and arrivals in seconds."""

    def __init__(self, length: int = 5) -> None:
        self.guard: TimeGuard[str] = TimeGuard(S, S // 2, length)
        self.now = 0.0

    def __call__(self, stream: str, stamp: float, later: float = 0.01) -> Verdict[str]:
        self.now += later
        return self.guard.judge(stream, round(stamp * S), f"{stream}@{stamp:g}", round(self.now * S))

    def all(self, stamp: float) -> list[Verdict[str]]:
        return [self(stream, stamp) for stream in "abc"]


def released(verdict: Verdict[str]) -> list[str]:
    return [message for _, _, message in verdict.released]


def test_ordinary_stamps_pass() -> None:
    feed = Feed()
    for step in range(20):
        for verdict in feed.all(100 + 0.3 * step):
            assert len(verdict.released) == 1 and verdict.jump is Jump.NONE
    assert feed.guard.num_held == 0 and feed.guard.newest_ns == round(105.7 * S)


def test_one_wild_stamp_is_discarded_when_its_stream_goes_on() -> None:
    feed = Feed()
    feed.all(100)
    assert released(feed("a", 999)) == [] and released(feed("b", 100.1)) == ["b@100.1"]
    verdict = feed("a", 100.1)
    assert released(verdict) == ["a@100.1"]
    assert [(h.message, h.jump) for h in verdict.discarded] == [("a@999", Jump.AHEAD)]


def test_a_stream_with_a_wrong_clock_stays_out_and_bounded() -> None:
    feed = Feed(length=5)
    feed("a", 100), feed("b", 100)
    discarded = 0
    for step in range(50):
        discarded += len(feed("c", 5000 + step * 0.1).discarded)
        assert released(feed("a", 100 + step * 0.1)) and released(feed("b", 100 + step * 0.1))
        assert feed.guard.num_held <= 5
    assert discarded == 45


def test_a_wrong_first_stamp_is_outvoted() -> None:
    feed = Feed()
    assert released(feed("a", 5000))
    assert not released(feed("b", 100))
    verdict = feed("c", 100.1)
    assert verdict.jump is Jump.BACKWARD and released(verdict) == ["b@100", "c@100.1"]


def test_loop_releases_the_new_pass_in_order() -> None:
    feed = Feed()
    feed.all(100)
    feed.all(105)
    assert not released(feed("a", 100)) and not released(feed("a", 100.1))
    verdict = feed("c", 100)
    assert verdict.jump is Jump.BACKWARD and released(verdict) == ["a@100", "a@100.1", "c@100"]
    assert released(feed("b", 100)) == ["b@100"]


def test_stragglers_of_the_old_pass_do_not_turn_time_back() -> None:
    feed = Feed()
    feed.all(100)
    feed.all(105)
    feed("a", 100)
    assert feed("b", 100).jump is Jump.BACKWARD
    assert not released(feed("c", 105.1))
    verdict = feed("c", 100)
    assert verdict.jump is Jump.NONE and released(verdict) == ["c@100"]
    assert [h.message for h in verdict.discarded] == ["c@105.1"]


def test_common_leap_ahead() -> None:
    feed = Feed()
    feed.all(100)
    assert not released(feed("b", 200))
    verdict = feed("a", 200.05)
    assert verdict.jump is Jump.AHEAD and released(verdict) == ["b@200", "a@200.05"]
    assert released(feed("c", 200)) == ["c@200"]


def test_a_stream_that_goes_on_alone_is_believed() -> None:
    feed = Feed()
    feed.all(100)
    for step in range(100):
        assert released(feed("a", 100 + 0.1 * step))
    # The others come back after ten seconds: in step with the first.
    assert released(feed("b", 110)) and released(feed("c", 110))


def test_a_single_stream_may_jump_at_once() -> None:
    feed = Feed()
    feed("a", 100)
    assert feed("a", 50).jump is Jump.BACKWARD
    assert feed("a", 90).jump is Jump.AHEAD


def test_dead_streams_have_no_vote() -> None:
    feed = Feed()
    for stream in "abcde":
        feed(stream, 100)
    # a, b and c fall silent for long; the two that live loop.
    for step in range(30):
        feed("d", 100 + 0.1 * step, later=0.1), feed("e", 100 + 0.1 * step)
    feed("d", 100)
    assert feed("e", 100).jump is Jump.BACKWARD


def test_clear_counts_what_it_forgets() -> None:
    feed = Feed()
    feed.all(100)
    feed("a", 300)
    assert feed.guard.clear() == 1
    assert feed.guard.newest_ns is None and released(feed("a", 5)) == ["a@5"]
