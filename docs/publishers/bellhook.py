"""Python 3.8 or newer, Django 3.2 or newer, no other packages. Lives in an app named `bellhook`."""
import json
import time
import urllib.error
import urllib.request
import uuid

from django.db import models, transaction
from django.utils import timezone


class OutboxEvent(models.Model):
    event_id = models.CharField(max_length=256, unique=True)
    body = models.TextField()
    posted_at = models.DateTimeField(null=True)
    refused = models.TextField(null=True)

    class Meta:
        app_label = "bellhook"
        db_table = "bellhook_outbox"


def add_event(type, data, scope=None, id=None):
    """Call it within the `transaction.atomic()` that changes your own tables."""
    id = id or str(uuid.uuid4())
    # The whole event is fixed here: a repeat must have the same content as the first post.
    event = {"id": id, "type": type, "timestamp": timezone.now().isoformat(),
             "scope": scope or {}, "data": data}
    OutboxEvent.objects.create(event_id=id, body=json.dumps(event))


def place_order(order_model, id, total):
    """What an order looks like in your application: both rows, or neither."""
    with transaction.atomic():
        order_model.objects.create(id=id, total=total)
        add_event("booking.created", {"id": id, "total": total}, id=f"order-{id}-created")


def post(body, url, token=None):
    """Posts one event: ("stored", None), ("refused", why) or ("later", seconds or None)."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(f"{url}/v1/events", body.encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            response.read()
            return "stored", None  # 202 is new, 200 is a repeat that Bellhook has already
    except urllib.error.HTTPError as error:
        # The event itself is at fault; repeating it can't help.
        if error.code in (400, 409, 413, 422):
            return "refused", error.read().decode()
        # 429 and 503 say when to come back. A wrong token (401, 403) waits for you to correct it.
        after = error.headers.get("Retry-After", "")
        return "later", int(after) if after.isdigit() else None
    except OSError:
        return "later", None  # nobody there, or cut off: it may be stored, so post it again
    except Exception as error:  # http.client: an answer that broke off
        if not type(error).__module__.startswith("http"):
            raise
        return "later", None


def relay(url, token=None, until_empty=False):
    """Posts what waits, oldest first. Run one, in a management command of its own."""
    waiting = OutboxEvent.objects.filter(posted_at=None, refused=None).order_by("id")
    pause = 1
    while True:
        event = waiting.first()
        if event is None:
            if until_empty:
                return
            time.sleep(0.5)
            continue
        result, detail = post(event.body, url, token)
        # A crash right here is harmless: the next start posts the same id again, and gets 200.
        if result == "stored":
            OutboxEvent.objects.filter(pk=event.pk).update(posted_at=timezone.now())
        elif result == "refused":
            OutboxEvent.objects.filter(pk=event.pk).update(refused=detail)  # alert somebody
        if result == "later":
            time.sleep(detail or pause)
            pause = min(pause * 2, 60)
        else:
            pause = 1
