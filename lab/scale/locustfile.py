"""A client for locust: one text after another. POSTS names a JSON file of texts. 429 is an answer, not a failure."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

from locust import FastHttpUser, task

TEXTS = json.loads(Path(os.environ["POSTS"]).read_text(encoding="utf8"))


class Client(FastHttpUser):
    @task
    def ask(self) -> None:
        post = {"text": random.choice(TEXTS)}
        with self.client.post("/entities", json=post, name="entities", catch_response=True) as answer:
            if answer.status_code == 429:
                answer.request_meta["name"] = "refused"
                answer.success()
