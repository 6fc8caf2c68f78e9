# SPDX-License-Identifier: Apache-2.0
"""All waiting goes through base/event.h, so that a test or a simulator can
replace time; base/clock.cc alone stands on the machine's own."""

import re

from repository import files, text

BLOCKS = re.compile(
    r"condition_variable|CondVar|\bmu\w*(\.|->)Await\(|\bAwaitWith\w+\("
    r"|\b(Reader)?LockWhen\w*\("
    r"|\b(sleep_for|sleep_until|usleep|nanosleep|SleepFor)\b|\bsleep\("
    r"|this_thread|absl::(Notification|BlockingCounter|Barrier)\b"
    r"|#include <(future|semaphore|latch|barrier)>")
# path -> why it may.
EXCEPTIONS = {
    "base/clock.cc": "is where waiting is implemented",
    "cmake/tsan_mutex.cc": "defines what it names, for the thread sanitizer",
}


def violations(root):
    found = []
    for path in files(root, ".h", ".cc"):
        if path.as_posix() in EXCEPTIONS:
            continue
        for number, line in enumerate(text(root, path).splitlines(), 1):
            match = BLOCKS.search(line)
            if match:
                found.append(f"{path}:{number}: {match.group().strip()} waits "
                             "by itself; wait for an Event of base/event.h")
    return found
