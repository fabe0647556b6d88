"""Keep what Python compiles from the archives that Ansible sends its modules in.

Each task compiles the same library anew, which takes an emulated processor longer than all the rest of the task. What
runs is the same: the code is found by the digest of its source.
"""

# Every Python that starts imports this, so it imports only what is loaded already.
import marshal
import os
import zipimport

DIRECTORY = "/run/compiled-modules"
_compile = zipimport._compile_source


def _compiled(path, source):
    import hashlib

    name = f"{DIRECTORY}/{hashlib.sha256(source).hexdigest()}"
    try:
        with open(name, "rb") as file:
            return marshal.loads(file.read())
    except FileNotFoundError:
        code = _compile(path, source)
    os.makedirs(DIRECTORY, mode=0o700, exist_ok=True)
    with open(f"{name}.{os.getpid()}", "wb") as file:
        file.write(marshal.dumps(code))
    os.replace(file.name, name)
    return code


zipimport._compile_source = _compiled
