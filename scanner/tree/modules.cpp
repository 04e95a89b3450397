// Names of Python's modules (sys.stdlib_module_names of 3.8 to 3.14) and of the packages that
// machines with models have. Left out are names that people give to their own modules too (a script
// test.py, a package of datasets): what is in those is judged like all code.
#include "scanner/tree/judge.hpp"

#include <algorithm>
#include <array>

namespace hubgate {
namespace tree {
namespace {

// Sorted. Import statements of nearly every program.
// clang-format off
constexpr auto k_libraries = std::to_array<std::string_view>({
    "PIL", "abc", "absl", "accelerate", "aifc", "aiohttp", "annotationlib", "anthropic",
    "argparse", "array", "ast", "asynchat", "asyncio", "asyncore", "atexit", "attr", "attrs",
    "auto_gptq", "awq", "base64", "binascii", "bisect", "bitsandbytes", "boto3", "botocore",
    "builtins", "bz2", "cProfile", "catboost", "certifi", "cgitb", "charset_normalizer", "click",
    "cloudpickle", "codecs", "codeop", "collections", "compileall", "concurrent", "configparser",
    "contextlib", "contextvars", "copy", "copyreg", "csv", "ctransformers", "ctypes", "curses",
    "cv2", "cython", "dataclasses", "datetime", "decimal", "deepspeed", "difflib", "diffusers",
    "dill", "dis", "distutils", "django", "dotenv", "dummy_threading", "einops", "encodings",
    "ensurepip", "enum", "errno", "fastapi", "faulthandler", "fcntl", "filecmp", "fileinput",
    "filelock", "flash_attn", "flask", "flax", "fnmatch", "fractions", "fsspec", "ftplib",
    "functools", "gc", "genericpath", "gensim", "getopt", "getpass", "gettext", "gguf", "glob",
    "google", "gradio", "grpc", "gzip", "h5py", "hashlib", "heapq", "hmac", "httpx",
    "huggingface_hub", "idna", "imaplib", "imghdr", "importlib", "inspect", "io", "ipaddress",
    "itertools", "jax", "jaxlib", "jinja2", "joblib", "json", "keras", "keyword", "langchain",
    "librosa", "lightgbm", "lightning", "linecache", "llama_cpp", "llvmlite", "locale", "logging",
    "lzma", "macpath", "mailcap", "markupsafe", "marshal", "math", "matplotlib", "mimetypes",
    "ml_dtypes", "mlflow", "mmap", "modulefinder", "msvcrt", "multiprocessing", "mxnet", "netrc",
    "networkx", "nis", "nltk", "nntplib", "ntpath", "nturl2path", "numba", "numbers", "numpy",
    "onnx", "onnxruntime", "opcode", "openai", "operator", "optimum", "optparse", "optree", "os",
    "ossaudiodev", "packaging", "paddle", "pandas", "pathlib", "pdb", "peft", "pickle",
    "pickletools", "pip", "pkg_resources", "pkgutil", "platform", "plistlib", "poplib", "posix",
    "posixpath", "pprint", "protobuf", "psutil", "pty", "pwd", "py_compile", "pyarrow", "pyclbr",
    "pydantic", "pydoc", "pyexpat", "pytorch_lightning", "quopri", "random", "re", "readline",
    "regex", "reprlib", "requests", "rich", "rlcompleter", "runpy", "safetensors", "scipy",
    "select", "selectors", "sentence_transformers", "sentencepiece", "setuptools", "shelve",
    "shlex", "shutil", "signal", "sitecustomize", "six", "sklearn", "skops", "smtpd", "smtplib",
    "sndhdr", "socket", "socketserver", "soundfile", "spacy", "spwd", "sqlite3", "sre_compile",
    "sre_constants", "sre_parse", "ssl", "starlette", "stat", "streamlit", "string", "stringprep",
    "struct", "subprocess", "sunau", "sympy", "symtable", "sys", "sysconfig", "syslog", "tabnanny",
    "tarfile", "telnetlib", "tempfile", "tensorboard", "tensorflow", "termios", "textwrap",
    "tf_keras", "threading", "tiktoken", "time", "timm", "tomllib", "torch", "torchaudio",
    "torchvision", "tqdm", "traceback", "transformers", "triton", "trl", "tty", "typing",
    "typing_extensions", "unicodedata", "unittest", "urllib", "urllib3", "usercustomize", "uuid",
    "uvicorn", "vllm", "wandb", "warnings", "weakref", "webbrowser", "wheel", "winreg", "winsound",
    "wsgiref", "xformers", "xgboost", "xml", "xmlrpc", "yaml", "zipfile", "zipimport", "zlib",
    "zoneinfo"});
// clang-format on

} // namespace

std::string_view modules_version() {
  return "modules-1";
}

} // namespace tree

bool is_library(std::string_view module) {
  return std::binary_search(tree::k_libraries.begin(), tree::k_libraries.end(), module);
}

} // namespace hubgate
