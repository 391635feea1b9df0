#!/usr/bin/env bash
# A client written from the protocol alone, with curl. Ends with 1 and says what differs at the first difference.
#
#   outside_client.sh <judge> <token> <service>/predict <command that opens the evaluation>
set -euo pipefail
base="$1/api/v1/usecases/tumor-segmentation" token=$2 service=$3 open_evaluation=$4
python=${PYTHON:-python3}
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

fail() {
  echo "outside client: $1" >&2
  echo "the answer was: $(head -c 600 "$answer")" >&2
  exit 1
}

# call <wanted status> <method> <path> [body]: the answer's body is left in $answer
call() {
  local wanted=$1 method=$2 path=$3 body=${4-} status
  status=$(curl --silent --show-error --max-time 60 --output "$answer" --write-out '%{http_code}' --request "$method" \
    --header "x-token: $token" ${body:+--header 'Content-Type: application/json' --data "$body"} "$base$path") ||
    fail "$method $path: no answer"
  [ "$status" = "$wanted" ] || fail "$method $path: status $status instead of $wanted"
}

# holds <Python expression over the answer `a`>...: each has to be true
holds() {
  "$python" -IS - "$answer" "$@" <<'PYTHON' || fail "the check above does not hold"
import base64, datetime, json, re, sys

def is_id(text):
    return re.fullmatch("[0-9a-f]{32}", text) is not None

def when(text):
    moment = datetime.datetime.fromisoformat(text)
    assert moment.utcoffset() is not None, f"{text} has no offset"
    return moment

def is_png(text):
    return base64.b64decode(text, validate=True).startswith(b"\x89PNG")

with open(sys.argv[1]) as file:
    a = json.load(file)
for expression in sys.argv[2:]:
    try:
        assert eval(expression)
    except Exception as error:
        sys.exit(f"does not hold: {expression} {error}")
PYTHON
}

# is_attempt <validation or evaluation> [more expressions]
is_attempt() {
  holds "is_id(a['team_uuid']) and is_id(a['queued_attempt_uuid'])" \
    "(a['usecase_name'], a['type']) == ('tumor-segmentation', '$1')" \
    "a['status'] in ('queued', 'running', 'done', 'failed')" \
    "type(a['position_in_queue']) is int and a['position_in_queue'] >= 0" \
    "when(a['enqueued_at'])" "${@:2}"
}

field() { "$python" -ISc 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$answer" "$1"; }

# finish <validate or evaluate> <type>: queues an attempt and follows it to its score
finish() {
  call 200 POST "/$1/queue" "{\"url\": \"$service\"}"
  is_attempt "$2"
  local uuid
  uuid=$(field queued_attempt_uuid)
  for _ in $(seq 600); do
    call 200 GET "/$1/queue/$uuid"
    case $(field status) in
      queued | running) sleep 0.2 ;;
      *) break ;;
    esac
  done
  is_attempt "$2" "a['queued_attempt_uuid'] == '$uuid'" "a['status'] == 'done' and a['position_in_queue'] == 0" \
    "{'submitted_at', 'started_at', 'finished_at', 'service_url', 'score', 'errors'} <= set(a['attempt'])" \
    "when(a['attempt']['submitted_at']) <= when(a['attempt']['started_at']) <= when(a['attempt']['finished_at'])" \
    "a['attempt']['service_url'] == '$service' and a['attempt']['errors'] == []" \
    "isinstance(a['attempt']['score'], float) and 0 <= a['attempt']['score'] <= 1"
  echo "$2 $uuid: $(field attempt)"
}

call 200 GET /status
holds "isinstance(a, dict)"

call 200 POST /verify "{\"url\": \"$service\"}"
holds "(a['can_connect'], a['can_predict'], a['response_status_code']) == (True, True, 200)" \
  "is_png(a['sample']) and is_png(a['response']['img'])" \
  "a['detail'] == {'message': 'Successfully connected and received prediction.'}"

finish validate validation
call 404 GET "/evaluate/queue/$(field queued_attempt_uuid)"
call 404 GET "/validate/queue/00000000000000000000000000000000"

call 403 POST /evaluate/queue "{\"url\": \"$service\"}"
eval "$open_evaluation"
finish evaluate evaluation
call 409 POST /evaluate/queue "{\"url\": \"$service\"}"
call 200 POST /validate/queue "{\"url\": \"$service\"}"

for url in http://169.254.169.254/ file:///etc/passwd http://user:pw@8.8.8.8/ http://8.8.8.8:22/; do
  call 422 POST /validate/queue "{\"url\": \"$url\"}"
done
token=wrong
call 401 GET /status
for path in /verify /validate/queue /evaluate/queue; do call 401 POST "$path" "{\"url\": \"$service\"}"; done
echo "outside client: everything holds"
