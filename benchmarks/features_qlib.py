"""The same fourteen features by Qlib's expression engine; run by Qlib's own interpreter.

    python features_qlib.py STORE none|both REPEATS REDIS_PORT

Prints one JSON line: seconds of each repeat. It imports nothing of the house.
"""

import json
import sys
import time

EXPRESSIONS = [
    "Ref($close,20)/$close",
    "Mean($close,20)/$close",
    "Std($close,20)/$close",
    "Slope($close,20)/$close",
    "Rsquare($close,20)",
    "Resi($close,20)/$close",
    "Max($high,20)/$close",
    "Min($low,20)/$close",
    "Quantile($close,20,0.8)/$close",
    "($close-Min($low,20))/(Max($high,20)-Min($low,20)+1e-12)",
    "Corr($close,Log($volume+1),20)",
    "Mean($close>Ref($close,1),20)",
    "Std($volume,20)/($volume+1e-12)",
    "(EMA($close,12)-EMA($close,26))/$close",
]


def main() -> None:
    """Time the engine; with both caches the first, uncounted run fills them."""
    store, caches, repeats, port = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    import qlib
    from qlib.data import D
    from qlib.data.cache import H

    both = caches == "both"
    qlib.init(
        provider_uri=store,
        region="cn",
        kernels=1,
        redis_port=port,
        logging_level=40,
        clear_mem_cache=True,
        expression_cache="DiskExpressionCache" if both else None,
        dataset_cache="DiskDatasetCache" if both else None,
    )
    seconds = []
    for repeat in range(repeats + both):
        H.clear()
        began = time.perf_counter()
        frame = D.features(
            D.instruments("all"), EXPRESSIONS, "2007-01-01", "2020-12-31", freq="day"
        )
        if repeat >= both:
            seconds.append(time.perf_counter() - began)
        rows, columns = frame.shape
        if columns != len(EXPRESSIONS):
            raise SystemExit(f"columns must be {len(EXPRESSIONS)}, were {columns}")
    print(json.dumps({"seconds": seconds, "rows": rows}))


if __name__ == "__main__":
    main()
