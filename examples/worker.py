"""A worker: claims tasks and completes them, through every restart of the node. Needs Python 3 and nothing else."""
import http.client, json, os, sys, time, urllib.error, urllib.request, uuid

URL = os.environ.get("SYNOD_URL", "http://127.0.0.1:7400") + "/api/v1"
HEADERS = {"Authorization": "Bearer " + os.environ["SYNOD_TOKEN"], "Content-Type": "application/json"}

def ask(path, body, **headers):
    """Sends the same request until there is an answer: under one key, or for one attempt, it counts once."""
    while True:
        try:
            request = urllib.request.Request(URL + path, json.dumps(body).encode(), {**HEADERS, **headers})
            with urllib.request.urlopen(request, timeout=90) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 409:  # the lease is lost: another attempt has the task
                return {}
            if error.code < 500 and error.code != 429:
                sys.exit(error.read().decode())
        except (OSError, ValueError, http.client.HTTPException) as error:
            print("the node is away:", error, file=sys.stderr)
        time.sleep(0.1)

agent = ask("/agents", {"name": f"python-{os.getpid()}", "capabilities": sys.argv[1:]})
while True:
    claim = {"agent_id": agent["id"], "max": 1, "wait_ms": 30000}
    for leased in ask("/tasks/claim", claim, **{"Idempotency-Key": str(uuid.uuid4())}).get("tasks", []):
        done = {"attempt": leased["attempt"], "result": {"echo": leased["task"]["payload"]}}  # the work
        answer = ask(f"/tasks/{leased['task']['id']}/complete", done)
        print(leased["task"]["id"], answer.get("status", "lost"), flush=True)
