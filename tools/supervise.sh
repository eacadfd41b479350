#!/bin/sh
# supervise.sh NAME COMMAND…: keeps COMMAND running until this script is told to stop.
#
# Every long-lived part of a local instance (services, sidecars, database, broker, chain) runs under it, so that a part that
# dies, by kill -9 too, is back in a moment. In $RM_RUN_DIR it writes
#   logs/NAME.log          what COMMAND says. A file, not a pipe: the dapr CLI stalls an app whose log line is above 64 KB
#   pids/NAME              the process id of COMMAND as it runs now
#   pids/NAME.supervisor   its own, by which the start tool stops it
# While hold/NAME exists, a COMMAND that has died is not started again (tests that take a part away for a while).
# TERM, INT or HUP: COMMAND gets $RM_STOP_SIGNAL (TERM), and this script ends after it.
# Without RM_RUN_DIR (a plain `dapr run -f .`) it is COMMAND, nothing more.
name=$1
shift
[ -n "$RM_RUN_DIR" ] || exec "$@"

pids=$RM_RUN_DIR/pids
log=$RM_RUN_DIR/logs/$name.log
mkdir -p "$pids" "$RM_RUN_DIR/logs"

child=
stopping=
stop() {
  stopping=yes
  if [ -n "$child" ]; then kill -s "${RM_STOP_SIGNAL:-TERM}" "$child" 2>/dev/null; fi
}
trap stop TERM INT HUP
echo $$ >"$pids/$name.supervisor"

pause=1 # in fifths of a second: 0.2 s, doubled at every quick death, up to 5 s
while [ -z "$stopping" ]; do
  started=$(date +%s)
  "$@" >>"$log" 2>&1 </dev/null &
  child=$!
  echo "$child" >"$pids/$name"
  if [ -n "$stopping" ]; then stop; fi # a signal between the start and the line above
  wait "$child"
  code=$?
  # a signal interrupts `wait`: wait on until the child is really gone
  while kill -0 "$child" 2>/dev/null; do
    wait "$child"
    code=$?
  done
  child=
  rm -f "$pids/$name"
  if [ -n "$stopping" ]; then break; fi

  if [ $(($(date +%s) - started)) -ge 10 ]; then pause=1; fi
  echo "supervise: $name ended with code $code; starting it again" >>"$log"
  waited=0
  while [ -z "$stopping" ] && { [ "$waited" -lt "$pause" ] || [ -e "$RM_RUN_DIR/hold/$name" ]; }; do
    sleep 0.2
    waited=$((waited + 1))
  done
  pause=$((pause * 2))
  if [ "$pause" -gt 25 ]; then pause=25; fi
done
rm -f "$pids/$name.supervisor"
