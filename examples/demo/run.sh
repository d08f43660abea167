#!/usr/bin/env bash
# The demo behind `make run`: a control plane, two services, three sidecars, and requests through the mesh.
# Every command that is run is shown; each of them could be typed by hand in a terminal of its own.
# Usage: run.sh [--once]      (--once: end after the requests instead of waiting for Ctrl-C)
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="${KUMA_DEMO_PROGRAMS:-$PWD/.venv/bin}:$PATH"
logs=$(mktemp -d -t kuma-demo-XXXXXX)
export HOME="$logs" KUMA_GENERAL_ADVERTISED_HOSTNAME=127.0.0.1
pids=()
building=
gui=http://localhost:5683/

end_building() { # with the programs that it runs: they write into what is removed then
  kill -- "-$building" 2>/dev/null || return 0
  for _ in $(seq 50); do
    kill -0 -- "-$building" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -9 -- "-$building" 2>/dev/null || true
}

finish() {
  local code=$?
  trap - EXIT INT TERM
  [ -z "$building" ] || end_building
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do kill "${pids[i]}" 2>/dev/null || true; done
  wait 2>/dev/null || true
  if [ "$code" -ne 0 ] && [ "$code" -ne 130 ]; then
    echo "The demo failed. What its programs said:" >&2
    tail -n 5 "$logs"/*.log >&2 || true
  fi
  rm -rf "$logs"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

background() { # background NAME COMMAND…: run a command whose output goes to a file
  local name=$1; shift
  echo "\$ $* &"
  "$@" >"$logs/$name.log" 2>&1 &
  pids+=($!)
}

foreground() { echo "\$ $*"; "$@"; }

until_ok() { # until_ok WHAT COMMAND…: run a command again and again, for half a minute at most
  local what=$1; shift
  for _ in $(seq 150); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    for pid in "${pids[@]}"; do
      kill -0 "$pid" 2>/dev/null || { echo "A program ended while waiting for $what." >&2; exit 1; }
    done
    sleep 0.2
  done
  echo "Waited half a minute for $what in vain." >&2
  exit 1
}

get() { python3 -c 'import sys, urllib.request as u
with u.urlopen(sys.argv[1], timeout=5) as answer: print(answer.headers.get("X-Instance", ""), answer.status)' "$1"; }

# The pages of a checkout, for which Node.js may have to be fetched, while everything else begins; a wheel holds them.
# In a process group of its own, which is ended as a whole.
build_pages() {
  [ -z "${KUMA_DEMO_PROGRAMS:-}" ] || return 0
  exec setsid nice -n 19 .venv/bin/python plugins/gui/build_web.py
}

tell_of_the_pages() { # once, when they are there, or when they cannot be built
  [ -z "$told" ] || return 0
  local ended=yes
  kill -0 "$building" 2>/dev/null && ended=
  if get "$gui" >/dev/null 2>&1; then
    told=yes; echo "The web interface: $gui"
  elif [ -n "$ended" ]; then
    told=yes; echo "The web interface cannot be shown. $(tail -n 5 "$logs/pages.log")" >&2
  fi
}

all_online() { # the control plane writes what it knows of its streams a moment behind them
  [ "$(kumactl inspect dataplanes | grep -cw Online)" = 3 ]
}

told=
build_pages >"$logs/pages.log" 2>&1 &
building=$!
background kuma-cp kuma-cp run
until_ok "the control plane" get http://127.0.0.1:5680/ready
background service-1 kuma-tcp-echo -port 9001 -interface 127.0.0.1 -name echo-1
background service-2 kuma-tcp-echo -port 9002 -interface 127.0.0.1 -name echo-2
foreground kumactl apply -f examples/demo/mesh.yaml
admin_port=9901
for name in echo-1 echo-2 web-1; do
  echo "\$ kumactl generate dataplane-token --dataplane=$name > $logs/$name-token"
  (umask 077; kumactl generate dataplane-token --dataplane="$name" >"$logs/$name-token")
  background "$name" kuma-dp run --name="$name" --cp-address=http://127.0.0.1:5681 \
    --dataplane-token-file="$logs/$name-token" --admin-port=$admin_port
  admin_port=$((admin_port + 1))
done
until_ok "an answer through the mesh" get http://127.0.0.1:20001/
for port in 5671 5672 5673; do until_ok "the metrics of a sidecar" get "http://127.0.0.1:$port/metrics"; done
until_ok "three dataplanes online" all_online

echo
echo "Six requests from web-1 to the service echo, each through two Envoys:"
for i in 1 2 3 4 5 6; do
  echo "  client -> 127.0.0.1:20001 (sidecar web-1) -> sidecar of $(get "http://127.0.0.1:20001/request-$i" | cut -d' ' -f1) -> service"
done
echo
foreground kumactl get meshes
foreground kumactl inspect dataplanes
echo
echo "Look around:  http://127.0.0.1:5681/meshes     the REST API, for kumactl and for you"
echo "              http://127.0.0.1:5680/metrics    what the control plane counts"
echo "              http://127.0.0.1:5673/metrics    what the Envoy of web-1 counts; echo-1 and echo-2: 5671, 5672"
echo "              http://127.0.0.1:20001/          the service echo, through the mesh"
echo "Try:          .venv/bin/kumactl delete dataplane echo-2    and call the service again"
[ "${1:-}" = "--once" ] && exit 0
echo
tell_of_the_pages
echo "Everything runs until you press Ctrl-C."
while :; do
  for pid in "${pids[@]}"; do
    kill -0 "$pid" 2>/dev/null || { echo "One of the programs ended." >&2; exit 1; }
  done
  tell_of_the_pages
  sleep 1
done
