#include "scanner/code/python/tables.hpp"

#include <algorithm>
#include <array>

namespace hubgate::python {
namespace {

constexpr auto k_callables = [] {
  std::array table{
      // builtins
      Callable{"exec", Op::run_code},
      Callable{"eval", Op::run_code},
      Callable{"execfile", Op::run_program},
      Callable{"compile", Op::pass, k_code},
      Callable{"__import__", Op::import},
      Callable{"importlib.import_module", Op::import},
      Callable{"importlib.__import__", Op::import},
      Callable{"open", Op::open},
      Callable{"getattr", Op::getattr},
      Callable{"chr", Op::chr},
      Callable{"unichr", Op::chr},
      Callable{"ord", Op::ord},
      Callable{"str", Op::text},
      Callable{"bytes", Op::text},
      Callable{"bytearray", Op::text},
      Callable{"memoryview", Op::pass},
      Callable{"list", Op::pass},
      Callable{"tuple", Op::pass},
      Callable{"iter", Op::pass},
      Callable{"sorted", Op::pass},
      Callable{"reversed", Op::reversed},
      Callable{"map", Op::map},
      Callable{"filter", Op::map},
      Callable{"functools.reduce", Op::map},
      Callable{"functools.partial", Op::partial},
      Callable{"functools.partialmethod", Op::partial},
      Callable{"int", Op::sanitize},
      Callable{"float", Op::sanitize},
      Callable{"bool", Op::sanitize},
      Callable{"len", Op::sanitize},
      Callable{"hash", Op::sanitize},
      Callable{"id", Op::sanitize},
      Callable{"isinstance", Op::sanitize},
      Callable{"ast.literal_eval", Op::sanitize},
      Callable{"input", Op::source, k_input},
      Callable{"raw_input", Op::source, k_input},
      // running code
      Callable{"runpy._run_code", Op::run_code},
      Callable{"runpy._run_module_code", Op::run_code},
      Callable{"runpy.run_path", Op::run_program},
      Callable{"imp.load_source", Op::run_program, 0, 1},
      Callable{"imp.load_dynamic", Op::run_program, 0, 1},
      Callable{"types.FunctionType", Op::run_code},
      Callable{"types.CodeType", Op::pass, k_code},
      Callable{"code.InteractiveInterpreter().runsource", Op::run_code},
      Callable{"code.InteractiveInterpreter().runcode", Op::run_code},
      Callable{"code.InteractiveConsole().push", Op::run_code},
      Callable{"timeit.timeit", Op::run_code},
      Callable{"cProfile.run", Op::run_code},
      Callable{"profile.run", Op::run_code},
      Callable{"bdb.Bdb().run", Op::run_code},
      Callable{"ctypes.CDLL", Op::run_program},
      Callable{"ctypes.WinDLL", Op::run_program},
      Callable{"ctypes.cdll.LoadLibrary", Op::run_program},
      Callable{"ctypes.windll.LoadLibrary", Op::run_program},
      // running commands
      Callable{"os.system", Op::run_command, k_output},
      Callable{"os.popen", Op::run_command, k_output},
      Callable{"os.popen2", Op::run_command, k_output},
      Callable{"os.popen3", Op::run_command, k_output},
      Callable{"os.startfile", Op::run_program},
      Callable{"os.execl", Op::run_program},
      Callable{"os.execle", Op::run_program},
      Callable{"os.execlp", Op::run_program},
      Callable{"os.execlpe", Op::run_program},
      Callable{"os.execv", Op::run_program},
      Callable{"os.execve", Op::run_program},
      Callable{"os.execvp", Op::run_program},
      Callable{"os.execvpe", Op::run_program},
      Callable{"os.posix_spawn", Op::run_program},
      Callable{"os.posix_spawnp", Op::run_program},
      Callable{"os.spawnl", Op::run_program, 0, 1},
      Callable{"os.spawnle", Op::run_program, 0, 1},
      Callable{"os.spawnlp", Op::run_program, 0, 1},
      Callable{"os.spawnv", Op::run_program, 0, 1},
      Callable{"os.spawnve", Op::run_program, 0, 1},
      Callable{"os.spawnvp", Op::run_program, 0, 1},
      Callable{"subprocess.Popen", Op::run_command, k_process},
      Callable{"subprocess.run", Op::run_command, k_output},
      Callable{"subprocess.call", Op::run_command, k_output},
      Callable{"subprocess.check_call", Op::run_command, k_output},
      Callable{"subprocess.check_output", Op::run_command, k_output},
      Callable{"subprocess.getoutput", Op::run_command, k_output},
      Callable{"subprocess.getstatusoutput", Op::run_command, k_output},
      Callable{"commands.getoutput", Op::run_command, k_output},
      Callable{"commands.getstatusoutput", Op::run_command, k_output},
      Callable{"asyncio.create_subprocess_shell", Op::run_command, k_process},
      Callable{"asyncio.create_subprocess_exec", Op::run_command, k_process},
      Callable{"pty.spawn", Op::run_command},
      Callable{"pexpect.spawn", Op::run_command, k_process},
      Callable{"pexpect.run", Op::run_command, k_output},
      Callable{"platform.popen", Op::run_command, k_output},
      Callable{"get_ipython().system", Op::run_command, k_output},
      Callable{"get_ipython().getoutput", Op::run_command, k_output},
      Callable{"get_ipython().run_cell", Op::run_code},
      // decoding
      Callable{"base64.b64decode", Op::decode, k_decoded, k_base64},
      Callable{"base64.standard_b64decode", Op::decode, k_decoded, k_base64},
      Callable{"base64.urlsafe_b64decode", Op::decode, k_decoded, k_base64},
      Callable{"base64.decodebytes", Op::decode, k_decoded, k_base64},
      Callable{"base64.decodestring", Op::decode, k_decoded, k_base64},
      Callable{"base64.b32decode", Op::decode, k_decoded, k_base32},
      Callable{"base64.b16decode", Op::decode, k_decoded, k_base16},
      Callable{"base64.b85decode", Op::decode, k_decoded, k_base85},
      Callable{"base64.a85decode", Op::decode, k_decoded, k_ascii85},
      Callable{"binascii.a2b_base64", Op::decode, k_decoded, k_base64},
      Callable{"binascii.unhexlify", Op::decode, k_decoded, k_base16},
      Callable{"binascii.a2b_hex", Op::decode, k_decoded, k_base16},
      Callable{"bytes.fromhex", Op::decode, k_decoded, k_base16},
      Callable{"bytearray.fromhex", Op::decode, k_decoded, k_base16},
      Callable{"codecs.decode", Op::decode, k_decoded, k_by_name},
      Callable{"codecs.encode", Op::decode, k_decoded, k_by_name},
      Callable{"zlib.decompress", Op::decode, k_decoded, k_zlib},
      Callable{"gzip.decompress", Op::decode, k_decoded, k_gzip},
      Callable{"bz2.decompress", Op::decode, k_decoded, k_bzip2},
      Callable{"lzma.decompress", Op::decode, k_decoded, k_lzma},
      Callable{"cryptography.fernet.Fernet().decrypt", Op::decode, k_decoded, k_cipher},
      Callable{"Crypto.Cipher.AES.new().decrypt", Op::decode, k_decoded, k_cipher},
      Callable{"Cryptodome.Cipher.AES.new().decrypt", Op::decode, k_decoded, k_cipher},
      Callable{"Crypto.Cipher.ARC4.new().decrypt", Op::decode, k_decoded, k_cipher},
      Callable{"marshal.loads", Op::load_code, k_decoded | k_code},
      Callable{"marshal.load", Op::load_code, k_decoded | k_code},
      Callable{"pickle.loads", Op::load_code},
      Callable{"pickle.load", Op::load_code},
      Callable{"dill.loads", Op::load_code},
      Callable{"cloudpickle.loads", Op::load_code},
      Callable{"joblib.load", Op::load_code},
      // network
      Callable{"requests.get", Op::get, k_net},
      Callable{"requests.post", Op::get, k_net},
      Callable{"requests.put", Op::get, k_net},
      Callable{"requests.patch", Op::get, k_net},
      Callable{"requests.delete", Op::get, k_net},
      Callable{"requests.head", Op::get, k_net},
      Callable{"requests.request", Op::get, k_net},
      Callable{"urllib.request.urlopen", Op::get, k_net},
      Callable{"urllib.urlopen", Op::get, k_net},
      Callable{"urllib.request.Request", Op::pass},
      Callable{"urllib.request.urlretrieve", Op::fetch, k_net, 1},
      Callable{"urllib.urlretrieve", Op::fetch, k_net, 1},
      Callable{"wget.download", Op::fetch, k_net, 1},
      Callable{"gdown.download", Op::fetch, k_net, 1},
      Callable{"torch.hub.download_url_to_file", Op::fetch, k_net, 1},
      Callable{"http.client.HTTPConnection().request", Op::get, k_net},
      Callable{"http.client.HTTPConnection().getresponse", Op::source, k_net},
      Callable{"socket.socket", Op::source, k_socket},
      Callable{"socket.create_connection", Op::source, k_socket},
      Callable{"socket.gethostbyname", Op::send},
      Callable{"socket.getaddrinfo", Op::send},
      Callable{"dns.resolver.resolve", Op::get, k_net},
      Callable{"smtplib.SMTP().sendmail", Op::send},
      Callable{"smtplib.SMTP().send_message", Op::send},
      Callable{"ftplib.FTP().storbinary", Op::send},
      Callable{"ftplib.FTP().retrbinary", Op::source, k_net},
      Callable{"paramiko.SSHClient().exec_command", Op::send},
      Callable{"websocket.create_connection", Op::source, k_socket},
      Callable{"websocket.WebSocket", Op::source, k_socket},
      Callable{"telebot.TeleBot().send_message", Op::send},
      Callable{"telebot.TeleBot().send_document", Op::send},
      Callable{"discord.SyncWebhook.from_url().send", Op::send},
      Callable{"pyngrok.ngrok.connect", Op::tunnel},
      // the hub
      Callable{"huggingface_hub.hf_hub_download", Op::source, k_hub},
      Callable{"huggingface_hub.snapshot_download", Op::source, k_hub},
      Callable{"huggingface_hub.upload_file", Op::hub_write},
      Callable{"huggingface_hub.upload_folder", Op::hub_write},
      Callable{"huggingface_hub.upload_large_folder", Op::hub_write},
      Callable{"huggingface_hub.create_commit", Op::hub_write},
      Callable{"huggingface_hub.delete_repo", Op::hub_write},
      Callable{"huggingface_hub.create_repo", Op::hub_write},
      Callable{"huggingface_hub.get_token", Op::source, k_credential},
      Callable{"huggingface_hub.HfFolder.get_token", Op::source, k_credential},
      Callable{"huggingface_hub.utils.get_token", Op::source, k_credential},
      Callable{"huggingface_hub.whoami", Op::source, k_credential},
      Callable{"huggingface_hub.list_models", Op::source, k_hub},
      // facts
      Callable{"os.getenv", Op::environ_get},
      Callable{"os.environ.get", Op::environ_get},
      Callable{"os.environ.copy", Op::source, k_environ},
      Callable{"os.environ.items", Op::source, k_environ},
      Callable{"os.environ.values", Op::source, k_environ},
      Callable{"socket.gethostname", Op::source, k_host},
      Callable{"socket.getfqdn", Op::source, k_host},
      Callable{"platform.node", Op::source, k_host},
      Callable{"platform.uname", Op::source, k_host},
      Callable{"platform.platform", Op::source, k_host},
      Callable{"os.uname", Op::source, k_host},
      Callable{"os.getlogin", Op::source, k_host},
      Callable{"getpass.getuser", Op::source, k_host},
      Callable{"uuid.getnode", Op::source, k_host},
      Callable{"psutil.users", Op::source, k_host},
      Callable{"psutil.net_if_addrs", Op::source, k_host},
      Callable{"psutil.process_iter", Op::source, k_host},
      Callable{"netifaces.interfaces", Op::source, k_host},
      Callable{"netifaces.ifaddresses", Op::source, k_host},
      Callable{"PIL.ImageGrab.grab", Op::source, k_screen},
      Callable{"pyautogui.screenshot", Op::source, k_screen},
      Callable{"mss.mss().grab", Op::source, k_screen},
      Callable{"mss.mss().shot", Op::source, k_screen},
      Callable{"pyperclip.paste", Op::source, k_screen},
      Callable{"cv2.VideoCapture().read", Op::source, k_screen},
      Callable{"sounddevice.rec", Op::source, k_screen},
      Callable{"keyboard.record", Op::source, k_screen},
      // weights and pictures
      Callable{"torch.load", Op::source, k_weights},
      Callable{"numpy.load", Op::source, k_weights},
      Callable{"numpy.fromfile", Op::source, k_weights},
      Callable{"safetensors.torch.load_file", Op::source, k_weights},
      Callable{"safetensors.numpy.load_file", Op::source, k_weights},
      Callable{"safetensors.safe_open", Op::source, k_weights},
      Callable{"PIL.Image.open", Op::source, k_weights},
      Callable{"stegano.lsb.reveal", Op::source, k_weights | k_decoded},
      // files
      Callable{"os.path.expanduser", Op::pass},
      Callable{"os.path.expandvars", Op::pass},
      Callable{"os.path.abspath", Op::pass},
      Callable{"os.path.realpath", Op::pass},
      Callable{"os.path.normpath", Op::pass},
      Callable{"os.fspath", Op::pass},
      Callable{"os.fsencode", Op::pass},
      Callable{"pathlib.Path", Op::join_path},
      Callable{"pathlib.PurePath", Op::join_path},
      Callable{"os.path.join", Op::join_path},
      Callable{"shlex.split", Op::pass},
      Callable{"shlex.quote", Op::pass},
      Callable{"textwrap.dedent", Op::pass},
      Callable{"inspect.cleandoc", Op::pass},
      Callable{"os.walk", Op::walk, k_walk},
      Callable{"os.listdir", Op::walk, k_walk},
      Callable{"os.scandir", Op::walk, k_walk},
      Callable{"glob.glob", Op::walk, k_walk},
      Callable{"glob.iglob", Op::walk, k_walk},
      Callable{"shutil.copy", Op::copy},
      Callable{"shutil.copy2", Op::copy},
      Callable{"shutil.copyfile", Op::copy},
      Callable{"shutil.move", Op::copy},
      Callable{"os.rename", Op::copy},
      Callable{"os.replace", Op::copy},
      Callable{"os.symlink", Op::copy},
      Callable{"shutil.copyfileobj", Op::pipe},
      Callable{"shutil.rmtree", Op::remove},
      Callable{"os.dup2", Op::duplicate},
      Callable{"cryptography.fernet.Fernet().encrypt", Op::crypt, k_encrypted},
      Callable{"Crypto.Cipher.AES.new().encrypt", Op::crypt, k_encrypted},
      Callable{"Cryptodome.Cipher.AES.new().encrypt", Op::crypt, k_encrypted},
      Callable{"pyAesCrypt.encryptFile", Op::crypt, k_encrypted},
      Callable{"nacl.secret.SecretBox().encrypt", Op::crypt, k_encrypted},
      // later
      Callable{"threading.Thread", Op::defer, 0, 1},
      Callable{"threading.Timer", Op::defer, 0, 1},
      Callable{"multiprocessing.Process", Op::defer, 0, 1},
      Callable{"atexit.register", Op::defer, 0, 0},
      Callable{"signal.signal", Op::defer, 0, 1},
      Callable{"winreg.SetValueEx", Op::registry},
      Callable{"winreg.SetValue", Op::registry},
  };
  std::sort(table.begin(), table.end(),
            [](const Callable& a, const Callable& b) { return a.name < b.name; });
  return table;
}();

struct Alias {
  std::string_view from;
  std::string_view to;
};

// Whole components at the front of a dotted name.
constexpr std::array<Alias, 44> k_aliases{{
    {"builtins", ""},
    {"__builtin__", ""},
    {"__builtins__", ""},
    {"posix", "os"},
    {"nt", "os"},
    {"posixpath", "os.path"},
    {"ntpath", "os.path"},
    {"six.moves.urllib", "urllib"},
    {"six.moves", ""},
    {"future.moves", ""},
    {"urllib2", "urllib.request"},
    {"urllib3.PoolManager()", "requests"},
    {"urllib.request.build_opener().open", "urllib.request.urlopen"},
    {"cPickle", "pickle"},
    {"_pickle", "pickle"},
    {"io.open", "open"},
    {"_io.open", "open"},
    {"codecs.open", "open"},
    {"io.BytesIO", "bytes"},
    {"io.StringIO", "str"},
    {"bz2.open", "open"},
    {"_socket", "socket"},
    {"_posixsubprocess", "subprocess"},
    {"requests.Session()", "requests"},
    {"requests.session()", "requests"},
    {"requests.sessions.Session()", "requests"},
    {"requests.api", "requests"},
    {"httpx.Client()", "requests"},
    {"httpx.AsyncClient()", "requests"},
    {"httpx", "requests"},
    {"curl_cffi.requests", "requests"},
    {"aiohttp.ClientSession()", "requests"},
    {"aiohttp.request", "requests.request"},
    {"http.client.HTTPSConnection", "http.client.HTTPConnection"},
    {"httplib", "http.client"},
    {"smtplib.SMTP_SSL", "smtplib.SMTP"},
    {"ssl.wrap_socket", "memoryview"},
    {"huggingface_hub.HfApi()", "huggingface_hub"},
    {"huggingface_hub.hf_api.HfApi()", "huggingface_hub"},
    {"huggingface_hub.utils._hf_folder", "huggingface_hub"},
    {"Cryptodome", "Crypto"},
    {"_winreg", "winreg"},
    {"os.environb", "os.environ"},
    {"pathlib.PosixPath", "pathlib.Path"},
}};

// Modules that others import and so hand on: "logging.os.system".
constexpr std::array<std::string_view, 16> k_carried{
    "os",     "subprocess", "builtins", "socket",  "pty",    "shutil", "base64",   "zlib",
    "ctypes", "importlib",  "runpy",    "marshal", "codecs", "sys",    "requests", "urllib"};

constexpr std::array<Pattern, 91> k_patterns{{
    {f_browser_store, false, "Login Data"},
    {f_browser_store, false, "logins.json"},
    {f_browser_store, false, "key4.db"},
    {f_browser_store, false, "cookies.sqlite"},
    {f_browser_store, false, "Web Data"},
    {f_browser_store, false, "Network\\Cookies"},
    {f_browser_store, false, "Network/Cookies"},
    {f_browser_path, false, "Google/Chrome"},
    {f_browser_path, false, "Google\\Chrome"},
    {f_browser_path, false, "Chrome\\User Data"},
    {f_browser_path, false, "google-chrome"},
    {f_browser_path, false, "BraveSoftware"},
    {f_browser_path, false, "Mozilla/Firefox"},
    {f_browser_path, false, "Mozilla\\Firefox"},
    {f_browser_path, false, ".mozilla/firefox"},
    {f_browser_path, false, "Opera Software"},
    {f_browser_path, false, "Microsoft\\Edge"},
    {f_browser_path, false, "Local State"},
    {f_unprotect, true, "win32crypt.CryptUnprotectData"},
    {f_unprotect, true, "crypt32.CryptUnprotectData"},
    {f_unprotect, false, "CryptUnprotectData"},
    {f_unprotect, true, "browser_cookie3."},
    {f_unprotect, false, "os_crypt"},
    {f_unprotect, false, "find-generic-password"},
    {f_wallet, false, "wallet.dat"},
    {f_wallet, false, "nkbihfbeogaeaoehlefnkodbefgpgknn"},
    {f_wallet, false, "Exodus/exodus.wallet"},
    {f_wallet, false, "exodus.wallet"},
    {f_wallet, false, "Electrum/wallets"},
    {f_wallet, false, "Electrum\\wallets"},
    {f_wallet, false, ".electrum/wallets"},
    {f_wallet, false, ".config/solana/id.json"},
    {f_wallet, false, "discord\\Local Storage\\leveldb"},
    {f_wallet, false, "discord/Local Storage/leveldb"},
    {f_webhook, false, "discord.com/api/webhooks"},
    {f_webhook, false, "discordapp.com/api/webhooks"},
    {f_webhook, false, "api.telegram.org/bot"},
    {f_webhook, false, "hooks.slack.com/services"},
    {f_oast, false, ".oast."},
    {f_oast, false, ".oastify.com"},
    {f_oast, false, "burpcollaborator.net"},
    {f_oast, false, ".interact.sh"},
    {f_oast, false, ".m.pipedream.net"},
    {f_oast, false, "webhook.site"},
    {f_oast, false, "requestbin."},
    {f_oast, false, "canarytokens.com"},
    {f_oast, false, "dnslog.cn"},
    {f_oast, false, ".ceye.io"},
    {f_oast, false, "beeceptor.com"},
    {f_paste, false, "pastebin.com/raw"},
    {f_paste, false, "transfer.sh"},
    {f_paste, false, "api.gofile.io"},
    {f_paste, false, "file.io"},
    {f_paste, false, "rentry.co"},
    {f_stratum, false, "stratum+tcp://"},
    {f_stratum, false, "stratum+ssl://"},
    {f_miner, false, "xmrig"},
    {f_miner, false, "nicehash"},
    {f_miner, false, "cpuminer"},
    {f_miner, false, "minexmr"},
    {f_metadata, false, "169.254.169.254"},
    {f_metadata, false, "metadata.google.internal"},
    {f_metadata, false, "169.254.170.2"},
    {f_metadata, false, "100.100.100.200"},
    {f_public_ip, false, "api.ipify.org"},
    {f_public_ip, false, "ifconfig.me"},
    {f_public_ip, false, "ipinfo.io"},
    {f_public_ip, false, "icanhazip.com"},
    {f_public_ip, false, "ip-api.com"},
    {f_virtual_alloc, true, "kernel32.VirtualAlloc"},
    {f_virtual_alloc, true, "kernel32.VirtualProtect"},
    {f_virtual_alloc, true, "mmap.PROT_EXEC"},
    {f_create_thread, true, "kernel32.CreateThread"},
    {f_create_thread, true, "kernel32.CreateRemoteThread"},
    {f_create_thread, true, "ctypes.CFUNCTYPE"},
    {f_move_memory, true, "kernel32.RtlMoveMemory"},
    {f_move_memory, true, "kernel32.WriteProcessMemory"},
    {f_move_memory, true, "ctypes.memmove"},
    {f_key_listener, true, "pynput.keyboard.Listener"},
    {f_key_listener, true, "keyboard.on_press"},
    {f_key_listener, true, "keyboard.hook"},
    {f_sqlite, true, "sqlite3.connect"},
    {f_aes, true, "Crypto.Cipher.AES.new"},
    {f_sandbox_name, false, "vmtoolsd"},
    {f_sandbox_name, false, "VBoxService"},
    {f_sandbox_name, false, "vboxtray"},
    {f_sandbox_name, false, "wireshark"},
    {f_debugger, true, "kernel32.IsDebuggerPresent"},
    {f_debugger, true, "kernel32.CheckRemoteDebuggerPresent"},
    {f_ransom, false, "files have been encrypted"},
    {f_ransom, false, "files are encrypted"},
}};

bool contains_any(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return text.find(word) != std::string_view::npos;
  });
}

} // namespace

const Callable* find_callable(std::string_view name) {
  const auto* at =
      std::lower_bound(k_callables.begin(), k_callables.end(), name,
                       [](const Callable& row, std::string_view key) { return row.name < key; });
  return at != k_callables.end() && at->name == name ? at : nullptr;
}

std::string canonical(std::string_view name) {
  std::string out(name);
  for (int round = 0; round < 3; ++round) {
    bool changed = false;
    for (const Alias& alias: k_aliases) {
      if (!out.starts_with(alias.from)) continue;
      const std::size_t end = alias.from.size();
      if (out.size() == end) {
        if (alias.to.empty()) continue;
        out = alias.to;
      } else if (out[end] == '.') {
        out = alias.to.empty() ? out.substr(end + 1) : std::string(alias.to) + out.substr(end);
      } else if (out[end] == '(' && !alias.to.empty()) {
        out = std::string(alias.to) + out.substr(end);
      } else {
        continue;
      }
      changed = true;
    }
    if (!changed) break;
  }
  if (find_callable(out) != nullptr) return out;
  for (const std::string_view module: k_carried) {
    const std::string inner = "." + std::string(module) + ".";
    const std::size_t at = out.rfind(inner);
    if (at == std::string::npos) continue;
    std::string tail = out.substr(at + 1);
    if (tail.starts_with("builtins.")) tail = tail.substr(9);
    if (find_callable(tail) != nullptr) return tail;
  }
  return out;
}

bool runs_something(Op op) {
  return op == Op::run_code || op == Op::run_command || op == Op::run_program;
}

std::span<const Pattern> patterns() {
  return k_patterns;
}

bool is_sensitive_path(std::string_view path) {
  return contains_any(path, {".ssh/id_",
                             ".ssh\\id_",
                             ".aws/credentials",
                             ".aws\\credentials",
                             ".netrc",
                             ".kube/config",
                             ".docker/config.json",
                             ".git-credentials",
                             ".pypirc",
                             ".npmrc",
                             "huggingface/token",
                             "huggingface/stored_tokens",
                             ".huggingface/token",
                             "/etc/shadow",
                             "/etc/passwd",
                             "/proc/self/environ",
                             "gcloud/application_default_credentials.json",
                             "gcloud/credentials.db",
                             ".azure/accessTokens.json",
                             ".azure/msal_token_cache",
                             ".config/gh/hosts.yml",
                             ".bash_history",
                             ".zsh_history",
                             "Login Data",
                             "key4.db",
                             "logins.json",
                             "wallet.dat",
                             "cookies.sqlite",
                             ".gnupg/",
                             "/run/secrets/kubernetes.io"}) ||
         path.ends_with("/.ssh") || path.ends_with("/.aws") || path.ends_with("\\.ssh");
}

bool is_persistence_path(std::string_view path) {
  return contains_any(path, {".bashrc",
                             ".bash_profile",
                             ".zshrc",
                             ".profile",
                             ".bash_login",
                             "/etc/cron",
                             "/var/spool/cron",
                             "authorized_keys",
                             "/etc/systemd/system",
                             ".config/systemd/user",
                             ".config/autostart",
                             "Library/LaunchAgents",
                             "/Library/LaunchDaemons",
                             "/etc/rc.local",
                             "/etc/init.d/",
                             "/etc/ld.so.preload",
                             "/etc/profile.d",
                             "Start Menu\\Programs\\Startup",
                             "Start Menu/Programs/Startup",
                             "sitecustomize.py",
                             "usercustomize.py",
                             "CurrentVersion\\Run"}) ||
         (path.ends_with(".pth") && contains_any(path, {"site-packages", "dist-packages",
                                                        "getsitepackages", "getusersitepackages"}));
}

bool is_published_url(std::string_view url) {
  for (const std::string_view host:
       {"https://raw.githubusercontent.com/", "https://github.com/", "https://huggingface.co/",
        "https://download.pytorch.org/", "https://storage.googleapis.com/"})
    if (url.starts_with(host)) return true;
  return false;
}

bool is_secret_variable(std::string_view name) {
  return contains_any(name, {"SECRET", "TOKEN", "PASSWORD", "PASSWD", "API_KEY", "APIKEY",
                             "ACCESS_KEY", "PRIVATE_KEY", "CREDENTIAL"});
}

} // namespace hubgate::python
