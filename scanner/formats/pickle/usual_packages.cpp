// Packages that are there wherever models are opened: Python's own modules (2.7 to 3.14) and what
// machine-learning environments usually hold. A name of theirs is a gadget that exists.
#include "scanner/formats/pickle/names.hpp"

namespace hubgate::pickle {
namespace {

constexpr std::string_view k_python =
    " "
    "BaseHTTPServer Bastille CGIHTTPServer ConfigParser Cookie DocXMLRPCServer HTMLParser Queue "
    "SimpleHTTPServer SimpleXMLRPCServer SocketServer StringIO Tkinter UserDict UserList "
    "UserString __builtin__ __builtins__ __future__ _abc _aix_support _ast _asyncio _bisect "
    "_blake2 _bootlocale _bootsubprocess _bz2 _codecs _codecs_cn _codecs_hk _codecs_iso2022 "
    "_codecs_jp _codecs_kr _codecs_tw _collections _collections_abc _compat_pickle _compression "
    "_contextvars _crypt _csv _ctypes _curses _curses_panel _datetime _dbm _decimal _dummy_thread "
    "_elementtree _frozen_importlib _frozen_importlib_external _functools _gdbm _hashlib _heapq "
    "_imp _interpreters _io _json _locale _lsprof _lzma _markupbase _md5 _msi _multibytecodec "
    "_multiprocessing _opcode _operator _osx_support _overlapped _pickle _posixshmem "
    "_posixsubprocess _py_abc _pydecimal _pyio _pyrepl _queue _random _scproxy _sha1 _sha256 "
    "_sha3 _sha512 _signal _sitebuiltins _socket _sqlite3 _sre _ssl _stat _statistics _string "
    "_strptime _struct _symtable _testcapi _testinternalcapi _thread _threading_local _tkinter "
    "_tokenize _tracemalloc _typing _uuid _warnings _weakref _weakrefset _winapi _winreg "
    "_xxsubinterpreters _zoneinfo abc aifc annotationlib antigravity anydbm argparse array ast "
    "asynchat asyncio asyncore atexit audioop base64 bdb binascii binhex bisect builtins bz2 "
    "cPickle cProfile cStringIO calendar cgi cgitb chunk cmath cmd code codecs codeop collections "
    "colorsys commands compileall compiler compression concurrent configparser contextlib "
    "contextvars cookielib copy copy_reg copyreg crypt csv ctypes curses dataclasses datetime "
    "dbhash dbm decimal difflib dis distutils doctest dumbdbm dummy_thread dummy_threading email "
    "encodings ensurepip enum errno exceptions faulthandler fcntl filecmp fileinput fnmatch "
    "formatter fractions ftplib functools gc gdbm genericpath getopt getpass gettext glob "
    "graphlib grp gzip hashlib heapq hmac html htmlentitydefs http httplib idlelib imaplib imghdr "
    "imp importlib imputil inspect io ipaddress itertools json keyword lib2to3 linecache locale "
    "logging lzma macpath mailbox mailcap marshal math md5 mimetools mimetypes mmap modulefinder "
    "msilib msvcrt multifile multiprocessing netrc new nis nntplib nt ntpath nturl2path numbers "
    "opcode operator optparse os ossaudiodev parser pathlib pdb pickle pickletools pipes pkgutil "
    "platform plistlib popen2 poplib posix posixpath pprint profile pstats pty pwd py_compile "
    "pyclbr pydoc pydoc_data pyexpat queue quopri random re readline reprlib resource rexec "
    "rfc822 rlcompleter runpy sched secrets select selectors sets sha shelve shlex shutil signal "
    "site smtpd smtplib sndhdr socket socketserver spwd sqlite3 sre_compile sre_constants "
    "sre_parse ssl stat statistics statvfs string stringprep struct subprocess sunau symbol "
    "symtable sys sysconfig syslog tabnanny tarfile telnetlib tempfile termios test textwrap this "
    "thread threading time timeit tkinter token tokenize tomllib trace traceback tracemalloc tty "
    "turtle turtledemo types typing unicodedata unittest urllib urllib2 urlparse user uu uuid "
    "venv warnings wave weakref webbrowser whichdb winreg winsound wsgiref xdrlib xml xmlrpc "
    "xmlrpclib zipapp zipfile zipimport zlib zoneinfo ";

constexpr std::string_view k_usual =
    " "
    "numpy scipy torch torchvision torchaudio torchtext torchmetrics tensorflow keras tensorboard "
    "jax jaxlib flax optax orbax sklearn skimage pandas polars pyarrow joblib xgboost lightgbm "
    "catboost transformers tokenizers datasets accelerate peft trl diffusers safetensors "
    "huggingface_hub sentence_transformers timm onnx onnxruntime evaluate bitsandbytes deepspeed "
    "lightning pytorch_lightning lightning_fabric fairseq fastai ultralytics mmcv mmengine "
    "detectron2 spacy thinc nltk gensim flair statsmodels cv2 PIL matplotlib seaborn plotly numba "
    "llvmlite cython h5py tables zarr numcodecs requests urllib3 certifi idna charset_normalizer "
    "yaml tqdm regex packaging filelock fsspec typing_extensions six setuptools pkg_resources pip "
    "wheel _distutils_hack jinja2 markupsafe attr attrs pydantic pydantic_core click rich psutil "
    "dateutil pytz tzdata cloudpickle dill threadpoolctl networkx sympy mpmath triton google "
    "protobuf grpc absl opt_einsum astunparse gast termcolor wrapt ml_dtypes namex einops "
    "sentencepiece sacremoses tiktoken openai IPython ipykernel traitlets jupyter notebook dask "
    "distributed ray mlflow wandb hydra omegaconf boto3 botocore aiohttp httpx anyio werkzeug "
    "flask fastapi starlette uvicorn gradio django tornado zmq cffi pycparser cryptography lxml "
    "bs4 html5lib soundfile librosa numexpr bottleneck xarray shap imblearn category_encoders "
    "sklearn_pandas skops mlxtend hdbscan umap pynndescent faiss annoy pycaret optuna hyperopt "
    "paddle mxnet chainer theano lasagne onnxmltools skl2onnx coremltools ipywidgets pexpect "
    "ptyprocess decorator pygments prompt_toolkit toolz cytoolz msgpack ujson orjson simplejson "
    "redis psycopg2 sqlalchemy paramiko ";

} // namespace

bool is_usual_package(std::string_view module) {
  const std::string top = " " + std::string(module.substr(0, module.find('.'))) + " ";
  return k_python.find(top) != std::string_view::npos ||
         k_usual.find(top) != std::string_view::npos;
}

} // namespace hubgate::pickle
