import os
import sys

import django
from django.conf import settings
from django.db import IntegrityError, models

settings.configure(USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", DATABASES={
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["OUTBOX_DB"]}})
django.setup()
import sample  # noqa: E402


class Order(models.Model):
    id = models.IntegerField(primary_key=True)
    total = models.IntegerField()

    class Meta:
        app_label = "shop"
        db_table = "orders"


command, *words = sys.argv[1:]
if command == "relay":
    sample.relay(words[0], os.environ.get("BELLHOOK_TOKEN"), until_empty=True)
else:
    for word in words:
        try:
            sample.place_order(Order, int(word), 60)
        except IntegrityError:
            print(f"{word} failed")
