"""A client of a Redis-compatible server whose every wait is bounded, over TLS where it says so."""

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry


def open_redis(url: str, *, timeout_s: float, retries: int = 1) -> redis.Redis:
    """Return a client that answers or fails within about (1 + retries) x `timeout_s`.

    redis-py retries eight times unless told otherwise, which turns a second of silence into a
    quarter of a minute. `url` is redis://, rediss:// (TLS: the server must prove itself by an
    authority of `ssl_ca_certs` in the query, or of the system's) or unix://. Nothing is reached
    before the first call. Raises ValueError where the address is none.
    """
    if not 0 < timeout_s <= 60 or not 0 <= retries <= 5:
        raise ValueError(
            f"timeout_s must be in (0, 60] and retries in 0..5, were {timeout_s} and {retries}"
        )
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(ExponentialBackoff(cap=0.1, base=0.02), retries),
    )
