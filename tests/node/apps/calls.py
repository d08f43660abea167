"""Calls a URL, so many times a second, until its input ends; runs in a container, with nothing but Python.

    python3 calls.py URL RATE

Each call has a connection of its own. A machine that is too slow for the rate gets fewer calls. It writes a line of
JSON after each second and at its end: how many calls went well, how many failed, and what the first failures were.
"""

import json
import sys
import threading
import time
import urllib.request

CALLERS, TIMEOUT, SHOWN = 16, 60, 10

lock = threading.Lock()
ended = threading.Event()
fine, failures = 0, []


def call(url):
    """One call; counts how it went."""
    global fine
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            answer.read()
    except OSError as error:
        with lock:
            failures.append(f"{time.time():.3f} {type(error).__name__} {error}")
    else:
        with lock:
            fine += 1


def caller(url, period, delay):
    """Calls in time with others."""
    due = time.monotonic() + delay
    while not ended.wait(max(0.0, due - time.monotonic())):
        call(url)
        due = max(due + period, time.monotonic() - period)


def tell():
    with lock:
        print(json.dumps({"fine": fine, "failed": len(failures), "failures": failures[:SHOWN]}), flush=True)


def wait_for_input():
    sys.stdin.read()
    ended.set()


def main(url, rate):
    """Call until input ends."""
    period = CALLERS / rate
    threads = [
        threading.Thread(target=caller, args=(url, period, number / rate)) for number in range(CALLERS)
    ]
    for thread in threads:
        thread.start()
    threading.Thread(target=wait_for_input, daemon=True).start()
    while not ended.wait(1):
        tell()
    for thread in threads:
        thread.join()
    tell()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
