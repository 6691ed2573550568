# Long-running processes of the host, known by pid and start time: a pid alone may be somebody else's by now.
# shellcheck shell=bash

# Two of these scripts would boot, or boot and remove, the same cluster. The lock is this directory itself, so that
# nothing of it is left; long-running children must not inherit descriptor 7.
one_at_a_time() {
  exec 7< "$here"
  flock -n 7 || { say "waiting for another cluster.sh of this checkout"; flock -w 1800 7; } || die "another cluster.sh is still at work"
}

# launch NAME CMD..: in the background, in a session of its own
launch() {
  local process=$1
  shift
  setsid "$@" >> "$logs/$process.log" 2>&1 < /dev/null 7<&- &
  remember "$process" $!
}

remember() { echo "$2 $(start_time "$2")" > "$run/pids/$1"; }

start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# pid_of NAME: prints the pid if that very process still lives
pid_of() {
  local pid at
  read -r pid at 2>/dev/null < "$run/pids/$1" || return 1
  [ "${pid:-0}" -gt 1 ] && [ "$(start_time "$pid")" = "$at" ] && ! is_over "$pid" && echo "$pid"
}

# A zombie, and the last thread of its process: while others are still ending, its ports are taken.
is_over() { # PID
  local threads=("/proc/$1/task/"*)
  grep -q ') Z ' "/proc/$1/stat" 2>/dev/null && [ ${#threads[@]} -le 1 ]
}

runs() { pid_of "$1" > /dev/null; }

stop() { # NAME SIGNAL [group]
  local pid
  if pid=$(pid_of "$1"); then
    kill "-$2" -- "${3:+-}$pid" 2>/dev/null || true
    for _ in $(seq 100); do runs "$1" || break; sleep 0.1; done
    if runs "$1"; then kill -KILL "$pid"; fi
  fi
  rm -f "$run/pids/$1"
}
