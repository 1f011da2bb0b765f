"""Staff's view of background jobs: what waits, what runs when, what was done, what failed. Nobody writes a job by hand: a job is code."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django_q.admin import FailAdmin, QueueAdmin, ScheduleAdmin, TaskAdmin
from django_q.models import Failure, OrmQ, Schedule, Success
from django_q.tasks import async_task

from signalist.audit.writing import record
from signalist.display.admin import ReadOnly
from tenants.step_up import ask_password, stepped_up

WORDS = "Running a job again wants a proof that it is you. Nothing was done yet: do it once more."

admin.site.unregister([Failure, OrmQ, Schedule, Success])


@admin.register(Schedule)
class ScheduleReader(ReadOnly, ScheduleAdmin):
    """When what runs is said by migrations alone."""


@admin.register(Success)
class SuccessReader(ReadOnly, TaskAdmin):
    """What was done; nothing is done again from here."""

    actions: list[str] = []


@admin.register(OrmQ)
class QueueReader(ReadOnly, QueueAdmin):
    """What waits for a worker."""

    fields = ("name", "func", "group", "lock", "task_id")


@admin.register(Failure)
class FailureReader(ReadOnly, FailAdmin):
    """What failed. A superuser has it run again as it was, or takes it off the list, with a proof and on record."""

    actions = ["run_again", "take_off"]

    def has_set_permission(self, request: HttpRequest) -> bool:
        """Superusers alone."""
        return bool(request.user.is_active and request.user.is_superuser)

    @admin.action(description="Run again", permissions=["set"])
    def run_again(self, request: HttpRequest, chosen: QuerySet[Failure]) -> HttpResponse | None:
        return self._dealt_with(request, chosen, again=True)

    @admin.action(description="Take off the list", permissions=["set"])
    def take_off(self, request: HttpRequest, chosen: QuerySet[Failure]) -> HttpResponse | None:
        return self._dealt_with(request, chosen, again=False)

    def _dealt_with(self, request: HttpRequest, chosen: QuerySet[Failure], *, again: bool) -> HttpResponse | None:
        if not stepped_up(request):
            return ask_password(request, request.get_full_path(), WORDS)
        done = 0
        for task in chosen.order_by("started", "pk"):
            with transaction.atomic():
                if not Failure.objects.filter(pk=task.pk).delete()[0]:
                    continue  # somebody else was quicker
                if again:
                    given = {"hook": task.hook, "group": task.group, "cluster": task.cluster} | (task.kwargs or {})
                    async_task(task.func, *(task.args or ()), **given)
                done += 1
                action, details = "job.run_again" if again else "job.taken_off", {"job": str(task.func)}
                record(action, tenant_id=None, user_id=request.user.pk, target=str(task.pk), details=details)
        self.message_user(request, f"{done} {'on the way again' if again else 'off the list'}.", messages.SUCCESS)
        return None
