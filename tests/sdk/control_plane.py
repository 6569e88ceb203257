"""Drives every control-plane method of the public Python client against a synod server.

Takes SYNOD_URL and SYNOD_TOKEN from the environment, prints one line for each method with what it answered, and
ends with 1 if any answer is not as expected or any method of the client was not called. Standard library and the
client only.
"""

import inspect
import os
import sys
import threading
import time

from aragora_sdk import AragoraClient
from aragora_sdk.exceptions import AragoraError, AuthenticationError, NotFoundError, ServerError, ValidationError
from aragora_sdk.namespaces.control_plane import ControlPlaneAPI

# Each call must be over within this time; the client waits as long before it gives up and asks again.
PATIENCE_SECONDS = 20.0

METHODS = [name for name, _ in inspect.getmembers(ControlPlaneAPI, inspect.isfunction) if not name.startswith("_")]

AGENT_FIELDS = {
    "agent_id": str,
    "capabilities": list,
    "status": str,
    "model": str,
    "provider": str,
    "metadata": dict,
    "registered_at": float,
    "last_heartbeat": float,
    "current_task_id": (str, type(None)),
    "tasks_completed": int,
    "tasks_failed": int,
    "avg_latency_ms": float,
    "tags": list,
    "region_id": str,
    "available_regions": list,
    "region_latency_ms": dict,
    "last_heartbeat_by_region": dict,
}

TASK_FIELDS = {
    "id": str,
    "task_type": str,
    "payload": dict,
    "required_capabilities": list,
    "status": str,
    "priority": int,
    "created_at": float,
    "assigned_at": (float, type(None)),
    "started_at": (float, type(None)),
    "completed_at": (float, type(None)),
    "assigned_agent": (str, type(None)),
    "timeout_seconds": float,
    "max_retries": int,
    "retries": int,
    "error": (str, type(None)),
    "metadata": dict,
    "target_region": (str, type(None)),
    "fallback_regions": list,
    "assigned_region": (str, type(None)),
    "region_routing_mode": str,
    "origin_region": str,
}

HISTORY_FIELDS = {
    "id": str,
    "type": str,
    "status": str,
    "priority": str,
    "assigned_agent": (str, type(None)),
    "error": (str, type(None)),
    "retries": int,
    "duration_ms": (float, type(None)),
    "created_at": str,
    "started_at": (str, type(None)),
    "completed_at": (str, type(None)),
    "metadata": dict,
}

JOB_FIELDS = {
    "id": str,
    "type": str,
    "name": str,
    "status": str,
    "progress": (int, float),
    "started_at": (str, type(None)),
    "created_at": str,
    "document_count": int,
    "agents_assigned": list,
    "priority": str,
}


class Unexpected(Exception):
    """An answer is not as it should be."""


def same(found, expected, what="the answer"):
    if found != expected:
        raise Unexpected(f"{what} is {found!r}, expected {expected!r}")


def holds(condition, what):
    if not condition:
        raise Unexpected(what)


def fields(found, expected, what="the answer"):
    """Holds that an object has these fields, each of its type."""
    holds(isinstance(found, dict), f"{what} is no object: {found!r}")
    for name, kind in expected.items():
        holds(name in found, f"{what} lacks {name}: {found!r}")
        holds(isinstance(found[name], kind), f"{name} of {what} is {found[name]!r}, no {kind}")


def refused(error_class, status, text, call):
    """Holds that a call raises this error of the client, with this text in the server's error shape."""
    try:
        answer = call()
    except error_class as error:
        same(error.status_code, status, "the status")
        same(error.message, text, "the message")
        holds(isinstance(error.error_code, str) and error.error_code, "the error has no code")
        holds(isinstance(error.trace_id, str) and error.trace_id, "the error has no trace_id")
        return f"{error_class.__name__} {status}: {text}"
    raise Unexpected(f"it was not refused: {answer!r}")


class Drive:
    """Calls the methods, each at least once, and keeps what became of them."""

    def __init__(self, client):
        self.client = client
        self.plane = client.control_plane
        self.rows = []

    def step(self, method, check):
        started = time.monotonic()
        try:
            result, ok = check(getattr(self.plane, method)), True
            holds(time.monotonic() - started < PATIENCE_SECONDS, "it took as long as the client waits")
        except (Unexpected, AragoraError) as error:
            result, ok = f"{type(error).__name__}: {error}", False
        self.rows.append((method, str(result), ok))

    def submit(self, **task):
        return self.plane.create_task(**task)["task_id"]

    def claim(self, agent_id="sdk-1"):
        return self.plane.claim_task(agent_id=agent_id, block_ms=0)["task"]

    # Agents

    def register_agent(self, call):
        agent = call(
            agent_id="sdk-1",
            capabilities=["reasoning", "code_review"],
            model="m-1",
            provider="p",
            metadata={"team": "x"},
            tags=["fast"],
        )
        fields(agent, AGENT_FIELDS)
        same(agent["status"], "ready", "the status")
        same(sorted(agent["capabilities"]), ["code_review", "reasoning"], "what it can do")
        same((agent["model"], agent["provider"]), ("m-1", "p"), "model and provider")
        same((agent["metadata"], agent["tags"]), ({"team": "x"}, ["fast"]), "metadata and tags")
        same(agent["current_task_id"], None, "its task")
        refused(ValidationError, 400, "agent_id is required", lambda: call(capabilities=[]))
        return f"{agent['agent_id']} {agent['status']}"

    def list_agents(self, call):
        answer = call()
        same(answer["total"], 1, "the total")
        same([agent["agent_id"] for agent in answer["agents"]], ["sdk-1"], "the agents")
        fields(answer["agents"][0], AGENT_FIELDS)
        return "1 agent"

    def get_agent(self, call):
        agent = call("sdk-1")
        fields(agent, AGENT_FIELDS)
        same(agent["agent_id"], "sdk-1", "the agent")
        refused(NotFoundError, 404, "Agent not found: nobody", lambda: call("nobody"))
        return agent["status"]

    def heartbeat(self, call):
        same(call("sdk-1"), {"acknowledged": True})
        refused(NotFoundError, 404, "Agent not found: nobody", lambda: call("nobody"))
        return "acknowledged"

    def pause_agent(self, call):
        same(call("sdk-1"), {"paused": True, "agent_id": "sdk-1", "status": "draining"})
        same(self.plane.list_agents()["total"], 0, "how many agents are available")
        task = self.submit(task_type="while-paused")
        same(self.claim(), None, "what a paused agent claims")
        self.plane.cancel_task(task)
        return "draining; claims nothing"

    def resume_agent(self, call):
        same(call("sdk-1"), {"resumed": True, "agent_id": "sdk-1", "status": "ready"})
        return "ready"

    def deregister_agent(self, call):
        self.plane.register_agent(agent_id="sdk-gone")
        same(call("sdk-gone"), {"unregistered": True})
        refused(NotFoundError, 404, "Agent not found: sdk-gone", lambda: self.plane.get_agent("sdk-gone"))
        return "gone"

    # Tasks

    def create_task(self, call):
        answer = call(
            task_type="review",
            payload={"topic": "API"},
            required_capabilities=["code_review"],
            priority="critical",
            timeout_seconds=60,
            metadata={"ticket": 7},
        )
        fields(answer, {"task_id": str})
        same(set(answer), {"task_id"}, "the fields")
        self.task = answer["task_id"]
        for text, task in [
            ("task_type is required", {"payload": {}}),
            ("Invalid priority: asap", {"task_type": "t", "priority": "asap"}),
        ]:
            refused(ValidationError, 400, text, lambda task=task: call(**task))
        return answer["task_id"]

    def get_task(self, call):
        task = call(self.task)
        fields(task, TASK_FIELDS)
        same((task["id"], task["task_type"], task["status"]), (self.task, "review", "pending"), "the task")
        same((task["payload"], task["metadata"]), ({"topic": "API"}, {"ticket": 7}), "payload and metadata")
        same((task["priority"], task["timeout_seconds"], task["max_retries"]), (100, 60.0, 3), "what was asked")
        refused(NotFoundError, 404, "Task not found: nothing", lambda: call("nothing"))
        return task["status"]

    def claim_task(self, call):
        task = call(agent_id="sdk-1", capabilities=["reasoning", "code_review"], block_ms=0)["task"]
        fields(task, TASK_FIELDS)
        same((task["id"], task["status"], task["assigned_agent"]), (self.task, "running", "sdk-1"), "the task")
        same(self.plane.get_agent("sdk-1")["status"], "busy", "the agent's status")
        same(call(agent_id="sdk-1", capabilities=[], block_ms=0), {"task": None}, "a claim with nothing to do")
        # A claim that waits is answered when work comes, and not when its wait is over.
        submit = threading.Timer(0.1, lambda: self.submit(task_type="wakes"))
        submit.start()
        started = time.monotonic()
        woken = call(agent_id="sdk-2", capabilities=[], block_ms=15000)["task"]
        submit.join()
        same(woken and woken["task_type"], "wakes", "what woke it")
        holds(time.monotonic() - started < 14.0, "the claim waited its whole wait although there was work")
        self.plane.complete_task(woken["id"])
        refused(ValidationError, 400, "agent_id is required", lambda: call(capabilities=[]))
        return f"{task['status']} by {task['assigned_agent']}"

    def complete_task(self, call):
        same(call(self.task), {"completed": True})
        same(call(self.task), {"completed": True}, "the same again")
        task = self.plane.get_task(self.task)
        same((task["status"], task["result"], task["error"]), ("completed", None, None), "the task")
        holds(isinstance(task["completed_at"], float), "completed_at is missing")
        unclaimed = self.submit(task_type="unclaimed")
        text = f"Task {unclaimed} is held by no agent: it is pending; claim it first"
        refused(AragoraError, 409, text, lambda: call(unclaimed))
        self.plane.cancel_task(unclaimed)
        refused(NotFoundError, 404, "Task not found: nothing", lambda: call("nothing"))
        return task["status"]

    def fail_task(self, call):
        retried = self.submit(task_type="fails")
        same(self.claim()["id"], retried, "the claimed task")
        same(call(retried, error="broke", agent_id="sdk-1"), {"failed": True})
        task = self.plane.get_task(retried)
        same((task["status"], task["retries"], task["error"]), ("pending", 1, "broke"), "the task")
        self.plane.cancel_task(retried)
        dead = self.submit(task_type="fails")
        self.claim()
        same(call(dead, error="no use", requeue=False), {"failed": True})
        task = self.plane.get_task(dead)
        same((task["status"], task["error"]), ("failed", "no use"), "the task")
        return "pending with a retry, then failed"

    def cancel_task(self, call):
        task = self.submit(task_type="cancelled")
        same(call(task), {"cancelled": True})
        same(self.plane.get_task(task)["status"], "cancelled", "the status")
        text = f"Task not found or already completed: {self.task}"
        refused(NotFoundError, 404, text, lambda: call(self.task))
        return "cancelled"

    def get_task_history(self, call):
        page = call()
        fields(page, {"history": list, "total": int, "limit": int, "offset": int, "has_more": bool})
        same((page["limit"], page["offset"], page["has_more"]), (100, 0, False), "the page")
        for entry in page["history"]:
            fields(entry, HISTORY_FIELDS, "an entry")
        done = [entry for entry in page["history"] if entry["id"] == self.task]
        same([(one["status"], one["priority"]) for one in done], [("completed", "urgent")], "the first task")
        return f"{page['total']} tasks"

    # The queue

    def get_queue(self, call):
        self.waiting = self.submit(task_type="waits", priority="low", metadata={"name": "Nightly"})
        self.held = self.submit(task_type="held")
        same(self.claim()["id"], self.held, "the claimed task")
        queue = call()
        same(queue["total"], 2, "the total")
        for job in queue["jobs"]:
            fields(job, JOB_FIELDS, "a job")
        shown = [(job["id"], job["status"], job["name"], job["agents_assigned"]) for job in queue["jobs"]]
        same(
            shown,
            [(self.held, "running", "held", ["sdk-1"]), (self.waiting, "pending", "Nightly", [])],
            "the queue",
        )
        return "1 running, 1 pending"

    def get_queue_metrics(self, call):
        metrics = call()
        numbers = (int, float)
        fields(
            metrics,
            {
                "pending": int,
                "running": int,
                "completed_today": int,
                "failed_today": int,
                "avg_wait_time_ms": numbers,
                "avg_execution_time_ms": numbers,
                "throughput_per_minute": numbers,
            },
        )
        same((metrics["pending"], metrics["running"]), (1, 1), "pending and running")
        return f"{metrics['pending']} pending, {metrics['running']} running"

    def prioritize_queue(self, call):
        answer = call(task_id=self.waiting, priority="urgent")
        same(answer, {"updated": [self.waiting], "failed": [], "priority": "urgent"})
        same(self.plane.get_task(self.waiting)["priority"], 100, "the priority")
        refused(ValidationError, 400, "task_id is required", lambda: call(priority="high"))
        text = "Task not found or already completed: nothing"
        refused(NotFoundError, 404, text, lambda: call(task_id="nothing", priority="high"))
        return "urgent"

    # Health and figures

    def get_health(self, call):
        health = call()
        same((health["status"], sorted(health["agents"])), ("healthy", ["sdk-1", "sdk-2"]), "the health")
        return health["status"]

    def get_health_detailed(self, call):
        health = call()
        fields(health, {"status": str, "uptime_seconds": float, "version": str, "components": list})
        holds(health["components"], "there are no components")
        for component in health["components"]:
            fields(component, {"name": str, "status": str, "latency_ms": (int, float)}, "a component")
        same(health["status"], "healthy", "the status")
        return f"{health['status']}, {len(health['components'])} components"

    def get_agent_health(self, call):
        health = call("sdk-1")
        fields(
            health,
            {
                "agent_id": str,
                "status": str,
                "latency_ms": (int, float),
                "timestamp": float,
                "error": (str, type(None)),
                "metadata": dict,
            },
        )
        same((health["agent_id"], health["status"]), ("sdk-1", "healthy"), "the health")
        refused(NotFoundError, 404, "No health data for agent: nobody", lambda: call("nobody"))
        return health["status"]

    def get_stats(self, call):
        stats = call()
        registry, scheduler = stats["registry"], stats["scheduler"]
        same((registry["total_agents"], registry["available_agents"]), (2, 1), "the agents")
        same(registry["by_status"], {"busy": 1, "ready": 1}, "the agents by status")
        same(registry["by_provider"], {"p": 1, "unknown": 1}, "the agents by provider")
        same((scheduler["by_status"]["pending"], scheduler["by_status"]["running"]), (1, 1), "the tasks by status")
        same(scheduler["by_type"], {"held": 1, "waits": 1}, "the tasks by type")
        fields(scheduler, {"by_priority": dict, "total": int})
        fields(stats["config"], {"heartbeat_timeout": (int, float), "task_timeout": (int, float)})
        return f"{registry['total_agents']} agents, {scheduler['total']} tasks"

    def get_metrics(self, call):
        metrics = call()
        counts = (
            "active_jobs queued_jobs completed_jobs agents_available agents_busy total_agents "
            "documents_processed_today audits_completed_today tokens_used_today"
        )
        fields(metrics, {name: int for name in counts.split()})
        same((metrics["active_jobs"], metrics["queued_jobs"]), (1, 1), "the jobs")
        same((metrics["agents_busy"], metrics["total_agents"]), (1, 2), "the agents")
        return f"{metrics['active_jobs']} active, {metrics['queued_jobs']} queued"

    def get_system_metrics(self, call):
        metrics = call()
        fields(metrics, {"uptime_seconds": float, "cpu": dict, "memory": dict, "throughput_per_minute": float})
        holds(metrics["memory"]["process_bytes"] > 0, "the process uses no memory")
        return f"up {metrics['uptime_seconds']:.0f} s"

    def get_task_metrics(self, call):
        metrics = call()
        fields(metrics, {"submitted": int, "completed": int, "failed": int, "cancelled": int, "by_status": dict})
        same((metrics["completed"], metrics["failed"]), (2, 1), "completed and failed")
        holds(0.0 < metrics["completion_rate"] < 1.0, "the completion rate is no share")
        return f"{metrics['completed']} completed, {metrics['failed']} failed"

    def agent_metrics(self, call):
        metrics = call("sdk-1")
        same((metrics["agent_id"], metrics["status"]), ("sdk-1", "busy"), "the agent")
        same((metrics["tasks_completed"], metrics["tasks_failed"]), (1, 2), "its tasks")
        same(metrics["current_tasks"], [self.held], "what it holds")
        refused(NotFoundError, 404, "Agent not found: nobody", lambda: call("nobody"))
        return f"{metrics['tasks_completed']} completed, {metrics['tasks_failed']} failed"

    def get_agent_metrics(self, call):
        return self.agent_metrics(call)

    def get_agent_metrics_by_id(self, call):
        return self.agent_metrics(call)

    def get_stream_info(self, call):
        info = call()
        same((info["protocol"], info["path"]), ("websocket", "/api/control-plane/stream"), "the stream")
        return info["path"]

    # What later versions bring: the right shape now

    def get_breakers(self, call):
        same(call(), {"breakers": []})
        return "none"

    def get_audit(self, call):
        found = call()
        same(found["query"], {"limit": 100, "offset": 0})
        holds(any(entry["action"] == "task.submit" for entry in found["entries"]), "no submit is in the audit log")
        holds(found["total"] >= len(found["entries"]), "fewer records in all than on a page")
        return "who did what"

    def get_audit_stats(self, call):
        stats = call()
        fields(stats, {"total_entries": int, "storage_backend": str, "last_hash": str})
        return stats["storage_backend"]

    def verify_audit(self, call):
        check = call()
        holds(check["valid"], check["message"])
        return "valid"

    def get_audit_logs(self, call):
        found = call(limit=5, offset=2)
        same((len(found["logs"]), found["limit"], found["offset"]), (5, 5, 2))
        return "5 of them"

    def get_audit_log(self, call):
        return refused(NotFoundError, 404, "Audit log not found: l-1", lambda: call("l-1"))

    def list_policies(self, call):
        found = call()
        same(found["total"], len(found["policies"]))
        return f"{found['total']} of them"

    def create_policy(self, call):
        made = call(name="p", rules=[{"action": "tool.x", "effect": "deny"}])["policy"]
        same(made["spec"]["name"], "p")
        return f"version {made['version']}"

    def list_violations(self, call):
        same(call(), {"violations": [], "total": 0, "limit": 100, "offset": 0})
        return "empty"

    def get_violations_stats(self, call):
        same(call(), {"total": 0, "open": 0, "resolved": 0, "by_type": {}, "open_by_type": {}})
        return "empty"

    def get_violation(self, call):
        return refused(NotFoundError, 404, "Violation not found: v-1", lambda: call("v-1"))

    def update_violation(self, call):
        refused(ValidationError, 400, "status is required", lambda: call("v-1"))
        return refused(NotFoundError, 404, "Violation not found: v-1", lambda: call("v-1", status="resolved"))

    def list_schedules(self, call):
        same(call(), {"schedules": [], "total": 0})
        return "empty"

    def create_schedule(self, call):
        text = "Schedules are not available in this version"
        return refused(ServerError, 501, text, lambda: call(cron="* * * * *", task_type="t"))

    def get_schedule(self, call):
        return refused(NotFoundError, 404, "Schedule not found: s-1", lambda: call("s-1"))

    def update_schedule(self, call):
        return refused(NotFoundError, 404, "Schedule not found: s-1", lambda: call("s-1", cron="* * * * *"))

    def delete_schedule(self, call):
        return refused(NotFoundError, 404, "Schedule not found: s-1", lambda: call("s-1"))

    def create_deliberation(self, call):
        refused(ValidationError, 400, "Missing required field: content", call)
        text = "Deliberations are not available in this version"
        return refused(ServerError, 501, text, lambda: call(content="Which one?", mode="async"))

    def get_deliberation(self, call):
        return refused(NotFoundError, 404, "Deliberation not found", lambda: call("d-1"))

    def get_deliberation_status(self, call):
        same(call("d-1"), {"request_id": "d-1", "status": "not_found"})
        return "not_found"

    def get_deliberation_transcript(self, call):
        return refused(NotFoundError, 404, "Deliberation not found", lambda: call("d-1"))

    def list_notifications(self, call):
        same(call(), {"notifications": [], "total": 0})
        return "empty"

    def get_notification_stats(self, call):
        stats = call()
        fields(stats, {"by_channel": dict, "channels_configured": list})
        same([stats[name] for name in ("total_sent", "successful", "failed", "success_rate")], [0, 0, 0, 0.0])
        return "none sent"


# The order in which one method's work is the next one's: agents, tasks, the queue, what is counted of them.
ORDER = (
    "register_agent list_agents get_agent heartbeat pause_agent resume_agent deregister_agent create_task get_task "
    "claim_task complete_task fail_task cancel_task get_task_history get_queue get_queue_metrics get_health "
    "get_health_detailed get_agent_health get_stats get_metrics get_system_metrics get_task_metrics "
    "get_agent_metrics get_agent_metrics_by_id prioritize_queue get_stream_info get_breakers get_audit "
    "get_audit_stats verify_audit get_audit_logs get_audit_log list_policies create_policy list_violations "
    "get_violations_stats get_violation update_violation list_schedules create_schedule get_schedule "
    "update_schedule delete_schedule create_deliberation get_deliberation get_deliberation_status "
    "get_deliberation_transcript list_notifications get_notification_stats"
).split()


def main():
    url, token = os.environ["SYNOD_URL"], os.environ["SYNOD_TOKEN"]
    # One try: a call that is refused or hangs once is not made good by the next.
    with AragoraClient(base_url=url, api_key=token, timeout=PATIENCE_SECONDS, max_retries=1) as client:
        drive = Drive(client)
        for method in ORDER:
            drive.step(method, getattr(drive, method))
    with AragoraClient(base_url=url, api_key="synod_client_wrong", timeout=PATIENCE_SECONDS) as stranger:
        text = "Authentication required"
        try:
            said = refused(AuthenticationError, 401, text, stranger.control_plane.list_agents)
            drive.rows.append(("(a wrong token)", said, True))
        except (Unexpected, AragoraError) as error:
            drive.rows.append(("(a wrong token)", str(error), False))
    for method in sorted(set(METHODS) ^ set(ORDER)):
        drive.rows.append((method, "not called, or not a method of the client", False))

    width = max(len(method) for method, _, _ in drive.rows)
    print(f"{'method':{width}} | ok | result")
    for method, result, ok in drive.rows:
        print(f"{method:{width}} | {'ok' if ok else 'NO'} | {result}")
    wrong = [method for method, _, ok in drive.rows if not ok]
    print(f"{len(METHODS)} methods, {len(wrong)} not as expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
