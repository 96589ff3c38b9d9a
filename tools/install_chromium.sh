#!/bin/sh
# Install the browser in which the pages are tried, where that can be done without asking: on
# Debian and its like, as root. Elsewhere the tests that need it are skipped and say so.
set -u
command -v chromium >/dev/null 2>&1 && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "chromium: not here and not installed (needs apt-get and root); its tests are skipped" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if { apt-get update && apt-get install -y --no-install-recommends chromium fonts-dejavu-core; } \
    >"$log" 2>&1; then
    echo "chromium: installed"
else
    echo "chromium: apt-get failed; its tests are skipped" >&2
    tail -n 3 "$log" >&2
fi
rm -f "$log"
exit 0
