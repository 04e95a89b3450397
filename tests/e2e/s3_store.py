"""An S3 store that checks signatures, for the hook's LFS sources: moto's server on loopback."""
from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from clients import WORK
from gate import free_port
from servers import wait_for_port

# Runs in the venv of moto: makes a user with rights on S3 and the objects, then has every request checked.
SETUP = """
import json, sys, urllib.request, boto3
url, bucket = sys.argv[1:3]
def client(name):
    return boto3.client(name, endpoint_url=url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
iam, s3 = client("iam"), client("s3")
iam.create_user(UserName="gate")
iam.put_user_policy(UserName="gate", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}))
key = iam.create_access_key(UserName="gate")["AccessKey"]
s3.create_bucket(Bucket=bucket)
for line in sys.stdin:
    name, data = line.split()
    s3.put_object(Bucket=bucket, Key=name, Body=bytes.fromhex(data))
urllib.request.urlopen(urllib.request.Request(url + "/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"})).read()
print(json.dumps([key["AccessKeyId"], key["SecretAccessKey"]]))
"""


class S3Store:
    def __init__(self, objects: dict[str, bytes], bucket: str = "models"):
        self.bucket, self.port = bucket, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
        self.process = subprocess.Popen([WORK / "s3/bin/moto_server", "-H", "127.0.0.1", "-p", str(self.port)],
                                        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for_port(self.port, 60)
            lines = "".join(f"{name} {data.hex()}\n" for name, data in objects.items())
            done = subprocess.run([WORK / "s3/bin/python", "-c", SETUP, self.url, bucket], input=lines, check=True, timeout=120,
                                  env=environment, stdout=subprocess.PIPE, text=True)
            self.access_key, self.secret_key = json.loads(done.stdout)
        except BaseException:
            self.stop()
            raise

    def credentials(self, file: Path, secret: str = "") -> Path:
        file.write_text(f"[default]\naws_access_key_id = {self.access_key}\naws_secret_access_key = {secret or self.secret_key}\n")
        file.chmod(0o600)
        return file

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)
