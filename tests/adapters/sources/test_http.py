"""The HTTP client retries what may mend, refuses what is no data, and always ends."""

import pytest

from adapters.sources.web.http import (
    HttpClient,
    HttpSettings,
    SourceRefusedError,
    SourceUnavailableError,
)
from tests.adapters.sources.local_server import HTML_PAGE, Reply, as_json, script, serve


def make_client(waits: list[float], **settings: float) -> HttpClient:
    return HttpClient(HttpSettings(**{"timeout_s": 2.0, **settings}), sleep=waits.append)  # type: ignore[arg-type]


def test_a_failing_server_is_asked_again_with_growing_pauses():
    waits: list[float] = []
    with serve(script(Reply(status=500), Reply(status=503), as_json([1]))) as server:
        assert make_client(waits).get_json(server.url) == [1]
    assert waits == [0.5, 1.0]


def test_retry_after_is_obeyed_in_seconds_and_as_a_moment():
    waits: list[float] = []
    dates = {
        "Retry-After": "Wed, 21 Oct 2015 07:28:07 GMT",
        "Date": "Wed, 21 Oct 2015 07:28:00 GMT",
    }
    limited = (Reply(status=429, headers={"Retry-After": "3"}), Reply(status=429, headers=dates))
    with serve(script(*limited, as_json({}))) as server:
        make_client(waits).get_json(server.url)
    assert waits[0] == 3
    # The test server writes its own Date, years later: a moment that has passed means no wait.
    assert waits[1] == 0


def test_a_retry_after_of_hours_is_cut_to_the_longest_wait():
    waits: list[float] = []
    limited = Reply(status=429, headers={"Retry-After": "7200"})
    with serve(script(limited, as_json({}))) as server:
        make_client(waits, wait_longest_s=30.0).get_json(server.url)
    assert waits == [30.0]


def test_a_server_that_never_recovers_is_given_up_after_the_attempts():
    waits: list[float] = []
    with serve(script(Reply(status=500))) as server:
        with pytest.raises(SourceUnavailableError, match="within 4 attempts, did not: status 500"):
            make_client(waits).get(server.url)
        assert len(server.requests) == 4


def test_a_truncated_body_is_no_answer():
    cut = Reply(b"[1, 2", announced_bytes=500)
    with serve(script(cut, cut, as_json([1, 2]))) as server:
        assert make_client([]).get_json(server.url) == [1, 2]
    with serve(script(cut)) as server, pytest.raises(SourceUnavailableError):
        make_client([], attempts=2).get(server.url)


def test_a_web_page_with_status_200_is_refused_at_once():
    with serve(script(HTML_PAGE)) as server:
        with pytest.raises(SourceRefusedError, match=r"was a web page: .*maintained"):
            make_client([]).get(server.url)
        assert len(server.requests) == 1


def test_a_silent_server_is_left_after_the_timeout():
    with (
        serve(script(Reply(pause_s=1.0))) as server,
        pytest.raises(SourceUnavailableError, match=r"timed out|ReadTimeout"),
    ):
        make_client([], timeout_s=0.1, attempts=2).get(server.url)


def test_an_unreachable_place_is_an_os_error():
    with pytest.raises(OSError, match="must answer"):
        make_client([], attempts=2).get("http://127.0.0.1:9/")


def test_a_body_over_the_limit_is_refused():
    with (
        serve(script(Reply(b"x" * 5000))) as server,
        pytest.raises(SourceRefusedError, match="1000"),
    ):
        make_client([], body_bytes_max=1000).get(server.url)


def test_messages_never_show_the_query_where_keys_travel():
    with (
        serve(script(as_json({"error": "bad"}, status=400))) as server,
        pytest.raises(SourceRefusedError) as caught,
    ):
        make_client([]).get(server.url + "/x", {"api_key": "secret"})
    assert "secret" not in str(caught.value)
    assert "status 400" in str(caught.value)


def test_no_json_is_refused():
    with (
        serve(script(Reply(b"not json"))) as server,
        pytest.raises(SourceRefusedError, match="JSON"),
    ):
        make_client([]).get_json(server.url)


def test_own_rate_limit_spreads_the_requests():
    waits: list[float] = []
    with serve(script(as_json({}))) as server:
        client = make_client(waits, requests_per_minute_max=60)
        client.get(server.url)
        client.get(server.url)
    assert len(waits) == 1
    assert 0.5 < waits[0] <= 1.0


def test_settings_out_of_bounds_are_refused():
    with pytest.raises(ValueError, match="attempts must lie within 1 to 10, was 0"):
        HttpSettings(attempts=0)
    with pytest.raises(ValueError, match="timeout_s must lie"):
        HttpSettings(timeout_s=0)
