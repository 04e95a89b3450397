#include "scanner/code/shell/shell.hpp"

#include <algorithm>
#include <array>

namespace hubgate::shell {
namespace {

constexpr std::size_t k_max_signs = 64;
constexpr std::size_t k_max_line = std::size_t{64} << 10;
constexpr unsigned k_max_nesting = 4;

bool is_space(char c) {
  return c == ' ' || c == '\t';
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c: out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  return out;
}

bool contains(std::string_view text, std::string_view word) {
  return text.find(word) != std::string_view::npos;
}

template <std::size_t N>
bool contains_any(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return contains(text, word); });
}

template <std::size_t N>
bool is_any(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

constexpr std::array<std::string_view, 8> k_fetchers{"curl",         "wget", "fetch", "aria2c",
                                                     "lwp-download", "lynx", "axel",  "http"};
constexpr std::array<std::string_view, 18> k_interpreters{
    "sh",      "bash", "zsh",  "dash", "ksh", "ash", "fish",       "python", "python3",
    "python2", "perl", "ruby", "node", "php", "iex", "powershell", "pwsh",   "source"};
constexpr std::array<std::string_view, 12> k_decoders{"base64",   "openssl", "xxd",    "rev",
                                                      "gunzip",   "zcat",    "tr",     "base32",
                                                      "uudecode", "bunzip2", "printf", "xz"};
constexpr std::array<std::string_view, 14> k_secret_paths{".ssh/id_",
                                                          ".aws/credentials",
                                                          ".netrc",
                                                          ".kube/config",
                                                          ".docker/config",
                                                          ".git-credentials",
                                                          ".pypirc",
                                                          "/etc/shadow",
                                                          "/proc/self/environ",
                                                          "huggingface/token",
                                                          "wallet.dat",
                                                          "login data",
                                                          "gcloud/application_default_credentials",
                                                          "logins.json"};
constexpr std::array<std::string_view, 12> k_beacons{
    ".oast.",           ".oastify.com", "burpcollaborator.net", ".interact.sh",
    ".m.pipedream.net", "webhook.site", "requestbin.",          "canarytokens.com",
    "dnslog.cn",        ".ceye.io",     "beeceptor.com",        "discord.com/api/webhooks"};
constexpr std::array<std::string_view, 6> k_miners{
    "stratum+tcp://", "stratum+ssl://", "xmrig", "minerd ", "cpuminer", "--donate-level"};

// The last part of a path, without ".exe": /usr/bin/curl is curl.
std::string program(std::string_view word) {
  const std::size_t slash = word.find_last_of("/\\");
  std::string out = lower(slash == std::string_view::npos ? word : word.substr(slash + 1));
  if (out.ends_with(".exe")) out.resize(out.size() - 4);
  return out;
}

bool is_unencrypted(std::string_view low) {
  return contains(low, "http://") || contains(low, "ftp://");
}

// An address instead of a name, or a place where anybody can drop a text.
bool is_plain_host(std::string_view low) {
  static constexpr std::array<std::string_view, 12> k_drops{
      "pastebin.com",       "paste.ee", "rentry.co", "transfer.sh", "file.io",
      "gofile.io",          "ngrok",    "bit.ly/",   "tinyurl.com", "discordapp.com/attachments",
      "cdn.discordapp.com", "0x0.st"};
  if (contains_any(low, k_drops)) return true;
  for (std::size_t at = low.find("://"); at != std::string_view::npos;
       at = low.find("://", at + 3)) {
    std::size_t end = at + 3;
    std::size_t dots = 0;
    while (end < low.size() && ((low[end] >= '0' && low[end] <= '9') || low[end] == '.'))
      dots += low[end++] == '.' ? 1 : 0;
    if (dots == 3 && (end == low.size() || low[end] == '/' || low[end] == ':')) return true;
  }
  return false;
}

struct Command {
  std::vector<std::string> words;
  bool piped = false; ///< reads what the command before it writes
  std::string name() const {
    for (std::size_t i = 0; i < words.size(); ++i) {
      const std::string& word = words[i];
      if (word.empty() || word.find('=') != std::string::npos) continue;
      const std::string out = program(word);
      // sudo -E env X=y nohup bash; RUN of a Dockerfile
      if (word == "RUN" || out == "sudo" || out == "env" || out == "nohup" || out == "exec" ||
          out == "time" || out == "command" || out == "doas" || out == "xargs" || out == "setsid" ||
          out == "timeout" || out == "then" || out == "do" || out == "else" || out == "if" ||
          out == "while" || out == "!")
        continue;
      if (word[0] == '-' || (word[0] >= '0' && word[0] <= '9')) continue;
      // keys of YAML under which commands stand
      if (word == "command:" || word == "entrypoint:" || word == "run:" || word == "script:")
        continue;
      return out;
    }
    return {};
  }
  bool has(std::string_view word) const {
    return std::find(words.begin(), words.end(), word) != words.end();
  }
};

// What is said of where something was fetched: see Sign.
struct Host {
  bool unencrypted = false;
  bool plain = false;
};

class Reader {
public:
  explicit Reader(std::vector<Sign>& signs) : signs_(signs) {}

  void line(std::string_view text, std::size_t offset, unsigned nesting = 0);

private:
  void sign(Effect effect, std::size_t offset, std::string_view text, bool ordinary = false,
            Host host = {}) {
    if (signs_.size() >= k_max_signs) return;
    for (const Sign& known: signs_)
      if (known.effect == effect && known.offset == offset) return;
    const std::string low = lower(text);
    signs_.push_back({effect, offset, std::string(text.substr(0, 400)), ordinary,
                      host.unencrypted || is_unencrypted(low), host.plain || is_plain_host(low)});
  }
  void split(std::string_view text, std::vector<Command>& out, std::vector<std::string>& nested);
  void judge(const std::vector<Command>& commands, std::string_view text, const std::string& low,
             std::size_t offset);
  void judge_windows(std::string_view text, const std::string& low, std::size_t offset,
                     unsigned nesting);
  void judge_words(std::string_view text, const std::string& low, std::size_t offset);
  void note_downloads(const Command& command, Host host);

  std::vector<Sign>& signs_;
  /// Files that commands before have fetched, and from what kind of host.
  std::vector<std::pair<std::string, Host>> downloaded_;
};

// Words, quotes taken away; |, ;, &, && and || part commands; $(…), `…` and <(…) are commands.
void Reader::split(std::string_view text, std::vector<Command>& out,
                   std::vector<std::string>& nested) {
  out.emplace_back();
  std::string word;
  bool in_word = false;
  const auto flush = [&] {
    if (in_word) out.back().words.push_back(word);
    word.clear();
    in_word = false;
  };
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == quote) {
        quote = 0;
        continue;
      }
      if (quote == '"' && c == '\\' && i + 1 < text.size()) {
        word += text[++i];
        continue;
      }
      if (!(quote == '"' && (c == '$' || c == '`'))) {
        word += c;
        continue;
      }
    }
    // The rest is a comment.
    if (quote == 0 && c == '#' && !in_word && i > 0 && is_space(text[i - 1])) break;
    if (c == '\'' || c == '"') {
      quote = c;
      in_word = true;
      continue;
    }
    const bool substitution = (c == '$' || c == '<') && i + 1 < text.size() && text[i + 1] == '(';
    if (substitution || c == '`') {
      const std::size_t begin = i + (substitution ? 2 : 1);
      std::size_t end = begin;
      int open = 1;
      for (; end < text.size(); ++end) {
        if (substitution && text[end] == '(') ++open;
        if (text[end] == (substitution ? ')' : '`') && --open == 0) break;
      }
      if (nested.size() < 16) nested.emplace_back(text.substr(begin, end - begin));
      word += "$()";
      in_word = true;
      i = end;
      continue;
    }
    if (quote == 0 && c == '\\' && i + 1 < text.size() && !is_space(text[i + 1]) &&
        std::string_view("$`\"'|;&<>()#").find(text[i + 1]) != std::string_view::npos) {
      word += text[++i];
      in_word = true;
      continue;
    }
    if (is_space(c)) {
      flush();
    } else if (c == '|' || c == ';' ||
               (c == '&' && !(i > 0 && text[i - 1] == '>') &&
                !(i + 1 < text.size() && text[i + 1] == '>'))) {
      flush();
      const bool doubled = i + 1 < text.size() && text[i + 1] == c;
      const bool pipe = c == '|' && !doubled;
      if (doubled) ++i;
      out.emplace_back();
      out.back().piped = pipe;
    } else if (c == '(' || c == ')') {
      flush();
      out.emplace_back();
    } else if (c == '>' || c == '<') {
      flush();
      out.back().words.emplace_back(1, c);
    } else {
      word += c;
      in_word = true;
    }
  }
  flush();
}

bool is_url(std::string_view word) {
  return contains(word, "://");
}

// Installers that projects publish as "curl … | sh": honest documentation is full of them.
bool is_known_installer(std::string_view low) {
  static constexpr std::array<std::string_view, 20> k_hosts{
      "https://sh.rustup.rs",
      "https://get.docker.com",
      "https://install.python-poetry.org",
      "https://raw.githubusercontent.com/nvm-sh",
      "https://raw.githubusercontent.com/homebrew",
      "https://deb.nodesource.com",
      "https://astral.sh",
      "https://ollama.com",
      "https://pyenv.run",
      "https://bootstrap.pypa.io",
      "https://repo.anaconda.com",
      "https://get.sdkman.io",
      "https://packagecloud.io",
      "https://install.duckdb.org",
      "https://apt.llvm.org",
      "https://hf.co/cli",
      "https://raw.githubusercontent.com/ohmyzsh",
      "https://bun.sh",
      "https://deno.land",
      "https://get.modular.com"};
  return contains_any(low, k_hosts);
}

void Reader::note_downloads(const Command& command, Host host) {
  const auto& words = command.words;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool option = words[i] == "-o" || words[i] == "-O" || words[i] == "--output" ||
                        words[i] == "--output-document" || words[i] == ">" ||
                        words[i] == "-OutFile";
    if (option && i + 1 < words.size() && !is_url(words[i + 1]) && words[i + 1] != "-")
      downloaded_.emplace_back(words[i + 1], host);
    else if (is_url(words[i]))
      downloaded_.emplace_back(words[i].substr(words[i].rfind('/') + 1), host);
  }
  if (downloaded_.size() > 64) downloaded_.erase(downloaded_.begin());
}

void Reader::judge(const std::vector<Command>& commands, std::string_view text,
                   const std::string& low, std::size_t offset) {
  bool fetched = false;
  bool decoded = false;
  for (const Command& command: commands) {
    if (!command.piped) fetched = decoded = false;
    const std::string name = command.name();
    if (name.empty()) continue;
    const bool interprets =
        is_any(name, k_interpreters) || name.starts_with("python3.") || name == ".";
    const bool reads_input =
        command.words.size() == 1 || command.has("-") || command.has("-s") || command.has("-i") ||
        std::none_of(command.words.begin() + 1, command.words.end(), [&](const std::string& word) {
          return word[0] != '-' && program(word) != name;
        });
    if (interprets && command.piped && fetched && reads_input)
      sign(Effect::download_run, offset, text, is_known_installer(low));
    else if (interprets && command.piped && decoded && reads_input)
      sign(Effect::hidden_run, offset, text);
    if (is_any(name, k_fetchers)) {
      fetched = std::any_of(command.words.begin(), command.words.end(), [](const std::string& w) {
        return is_url(w) || contains(w, "$") || contains(w, ".");
      });
      note_downloads(command, {is_unencrypted(low), is_plain_host(low)});
    }
    // What lies in a clone of a host without a name or encryption is from there, too.
    if (name == "git" && command.has("clone") && (is_unencrypted(low) || is_plain_host(low))) {
      std::string folder = command.words.back();
      if (is_url(folder)) folder = folder.substr(folder.rfind('/') + 1);
      if (folder.ends_with(".git")) folder.resize(folder.size() - 4);
      if (folder.size() > 1)
        downloaded_.emplace_back(folder + "/", Host{is_unencrypted(low), is_plain_host(low)});
    }
    const bool decodes = is_any(name, k_decoders) &&
                         (name != "base64" || contains(low, "-d") || contains(low, "--decode")) &&
                         name != "tr" && name != "printf" && name != "gunzip" && name != "zcat";
    decoded = decoded || decodes;
    // A file that was fetched before is run now.
    for (const auto& [name_of_file, host]: downloaded_) {
      const std::string& file = name_of_file;
      if (file.size() < 2) continue;
      const std::string& first = command.words.front();
      const bool folder = file.ends_with('/');
      const auto inside = [&](const std::string& w) {
        return folder && (w.starts_with(file) || w.starts_with("./" + file));
      };
      const bool direct =
          first == file || first == "./" + file || first.ends_with("/" + file) || inside(first);
      const bool through =
          interprets &&
          std::any_of(command.words.begin() + 1, command.words.end(), [&](const std::string& w) {
            return w == file || w == "./" + file || inside(w);
          });
      const bool marked =
          name == "chmod" &&
          std::any_of(command.words.begin(), command.words.end(),
                      [&](const std::string& w) { return w == file || w == "./" + file; }) &&
          (contains(low, "+x") || contains(low, "7"));
      if (direct || through)
        sign(Effect::download_run, offset, text, is_known_installer(low), host);
      else if (marked && contains(file, "/tmp/"))
        sign(Effect::download_run, offset, text, false, host);
    }
    if (interprets && (command.has("-c") || name == "eval") && contains(low, "$()"))
      fetched = false;
    if ((name == "nc" || name == "ncat" || name == "netcat") &&
        std::any_of(command.words.begin(), command.words.end(), [](const std::string& word) {
          return word == "-e" || word == "-c" || word == "--exec" ||
                 (word.size() > 2 && word[0] == '-' && word[1] != '-' && word.back() == 'e');
        }))
      sign(Effect::remote_control, offset, text);
    if (command.piped && (name == "nc" || name == "ncat") && contains(low, "mkfifo"))
      sign(Effect::remote_control, offset, text);
    if (name == "rm" && (contains(low, " -rf") || contains(low, " -fr") || contains(low, " -r")) &&
        (command.has("/") || command.has("/*") || command.has("~") || command.has("~/") ||
         command.has("$HOME") || command.has("--no-preserve-root")))
      sign(Effect::destruction, offset, text);
    if (name == "dd" && contains(low, "of=/dev/sd")) sign(Effect::destruction, offset, text);
    if (name.starts_with("mkfs") && contains(low, "/dev/")) sign(Effect::destruction, offset, text);
    if (name == "crontab" && (command.piped || command.has("-")) && !command.has("-l"))
      sign(Effect::persistence, offset, text);
    if ((name == "huggingface-cli" || name == "hf") && command.has("upload"))
      sign(Effect::propagation, offset, text);
  }
}

void Reader::judge_words(std::string_view text, const std::string& low, std::size_t offset) {
  const bool tcp = contains(low, "/dev/tcp/") || contains(low, "/dev/udp/");
  const bool shell = contains(low, "sh -i") || contains(low, "sh -c") || contains(low, "0<&1") ||
                     contains(low, "0>&1") || contains(low, "| sh") || contains(low, "|sh") ||
                     contains(low, "| bash") || contains(low, "sh >") || contains(low, "sh <");
  if (tcp && shell) sign(Effect::remote_control, offset, text);
  if (contains(low, "socat") && contains(low, "exec:")) sign(Effect::remote_control, offset, text);
  if (contains(low, "mkfifo") && contains(low, "|") &&
      (contains(low, "nc ") || contains(low, "openssl s_client") || contains(low, "telnet ")))
    sign(Effect::remote_control, offset, text);
  const bool one_liner = contains(low, "python") || contains(low, "perl") ||
                         contains(low, "ruby") || contains(low, "php") || contains(low, "awk");
  if (one_liner && contains(low, "socket") &&
      (contains(low, "dup2") || contains(low, "pty.spawn") || contains(low, "subprocess.call") ||
       contains(low, "exec ") || contains(low, "fsockopen")) &&
      (contains(low, "/bin/sh") || contains(low, "/bin/bash") || contains(low, "\"sh\"") ||
       contains(low, "cmd.exe")))
    sign(Effect::remote_control, offset, text);
  const bool sends = contains(low, "curl ") || contains(low, "wget ") || contains(low, "nc ") ||
                     contains(low, "invoke-webrequest") || contains(low, "invoke-restmethod");
  if (sends && contains_any(low, k_secret_paths)) sign(Effect::theft, offset, text);
  if (sends && (contains(low, "$(env") || contains(low, "printenv") || contains(low, "env |")) &&
      (contains(low, "-d ") || contains(low, "--data") || contains(low, "|")))
    sign(Effect::theft, offset, text);
  if (sends && contains(low, "169.254.169.254") && contains(low, "credentials"))
    sign(Effect::theft, offset, text);
  const bool asks = sends || contains(low, "ping ") || contains(low, "nslookup ") ||
                    contains(low, "dig ") || contains(low, "resolve-dnsname");
  if (asks && contains_any(low, k_beacons)) sign(Effect::beacon, offset, text);
  if (contains_any(low, k_miners) &&
      (contains(low, " -o ") || contains(low, "./") || contains(low, "stratum+") || sends))
    sign(Effect::miner, offset, text);
  const bool appends = contains(low, ">>") || contains(low, "tee -a") || contains(low, "> ");
  if (appends && contains(low, "authorized_keys") && contains(low, "ssh-"))
    sign(Effect::persistence, offset, text);
  if (appends &&
      (contains(low, ".bashrc") || contains(low, ".profile") || contains(low, ".zshrc")) &&
      (contains(low, "curl ") || contains(low, "wget ") || contains(low, "nohup") ||
       contains(low, "/tmp/") || contains(low, "/dev/tcp")))
    sign(Effect::persistence, offset, text);
  if (contains(low, "/etc/cron") && appends && (sends || contains(low, "* * *")))
    sign(Effect::persistence, offset, text);
  if (contains(low, ":(){ :|:& };:") || contains(low, ":(){:|:&};:"))
    sign(Effect::destruction, offset, text);
}

void Reader::judge_windows(std::string_view text, const std::string& low, std::size_t offset,
                           unsigned nesting) {
  const bool powershell = contains(low, "powershell") || contains(low, "pwsh");
  if (powershell) {
    for (const std::string_view option:
         {" -enc ", " -encodedcommand ", " -e ", " -ec ", " -en ", " /enc ", " -encoded "}) {
      const std::size_t at = low.find(option);
      if (at == std::string::npos) continue;
      std::size_t begin = at + option.size();
      while (begin < text.size() &&
             (is_space(text[begin]) || text[begin] == '"' || text[begin] == '\''))
        ++begin;
      std::size_t end = begin;
      while (end < text.size() && !is_space(text[end]) && text[end] != '"' && text[end] != '\'')
        ++end;
      const std::string inner = decode_powershell(text.substr(begin, end - begin));
      if (inner.empty() && end - begin < 40) continue;
      sign(Effect::encoded, offset, text);
      if (nesting < k_max_nesting && !inner.empty()) line(inner, offset, nesting + 1);
      break;
    }
  }
  const bool fetches = contains(low, "downloadstring") || contains(low, "downloadfile") ||
                       contains(low, "downloaddata") || contains(low, "invoke-webrequest") ||
                       contains(low, "iwr ") || contains(low, "irm ") ||
                       contains(low, "invoke-restmethod") || contains(low, "start-bitstransfer") ||
                       contains(low, "msxml2.xmlhttp") || contains(low, "winhttp.winhttprequest");
  const bool runs = contains(low, "iex") || contains(low, "invoke-expression") ||
                    contains(low, "start-process") || contains(low, "[scriptblock]") ||
                    contains(low, ".run ") || contains(low, "shellexecute") ||
                    contains(low, "invoke-item");
  if (fetches && runs) sign(Effect::download_run, offset, text, is_known_installer(low));
  if (contains(low, "net.sockets.tcpclient") &&
      (contains(low, "getstream") || contains(low, "iex") || contains(low, "cmd")))
    sign(Effect::remote_control, offset, text);
  if (contains(low, "frombase64string") && runs) sign(Effect::hidden_run, offset, text);
  if (contains(low, "certutil") && (contains(low, "-urlcache") || contains(low, "/urlcache")))
    sign(Effect::living_off, offset, text);
  if (contains(low, "bitsadmin") && contains(low, "/transfer"))
    sign(Effect::living_off, offset, text);
  if (contains(low, "mshta") &&
      (contains(low, "http") || contains(low, "javascript:") || contains(low, "vbscript:")))
    sign(Effect::living_off, offset, text);
  if (contains(low, "regsvr32") && contains(low, "scrobj")) sign(Effect::living_off, offset, text);
  if (contains(low, "rundll32") && (contains(low, "javascript:") || contains(low, "url.dll")))
    sign(Effect::living_off, offset, text);
  if (contains(low, "wmic") && contains(low, "process call create"))
    sign(Effect::living_off, offset, text);
  if (contains(low, "add-mppreference") || contains(low, "disablerealtimemonitoring") ||
      (contains(low, "set-mppreference") && contains(low, "disable")))
    sign(Effect::evasion, offset, text);
  if ((contains(low, "reg add") || contains(low, "new-itemproperty") ||
       contains(low, "set-itemproperty") || contains(low, "regwrite")) &&
      contains(low, "currentversion\\run"))
    sign(Effect::persistence, offset, text);
  if (contains(low, "schtasks") && contains(low, "/create"))
    sign(Effect::persistence, offset, text);
  if (contains(low, "vssadmin") && contains(low, "delete shadows"))
    sign(Effect::destruction, offset, text);
  if ((contains(low, "copy ") || contains(low, "copy-item") || contains(low, "move ")) &&
      contains(low, "programs\\startup"))
    sign(Effect::persistence, offset, text);
}

void Reader::line(std::string_view text, std::size_t offset, unsigned nesting) {
  text = text.substr(0, k_max_line);
  const std::string low = lower(text);
  judge_words(text, low, offset);
  judge_windows(text, low, offset, nesting);
  if (nesting >= k_max_nesting) return;
  std::vector<Command> commands;
  std::vector<std::string> nested;
  split(text, commands, nested);
  judge(commands, text, low, offset);
  // sh -c "…", eval "…", bash <(curl …), sh -c "$(curl …)"
  for (const Command& command: commands) {
    const std::string name = command.name();
    const bool interprets = is_any(name, k_interpreters) || name == "eval" || name == ".";
    if (!interprets) continue;
    const bool substituted = std::any_of(command.words.begin(), command.words.end(),
                                         [](const std::string& w) { return w.starts_with("$()"); });
    if (substituted)
      for (const std::string& inner: nested) {
        std::vector<Command> inside;
        std::vector<std::string> deeper;
        split(inner, inside, deeper);
        for (const Command& part: inside) {
          const std::string what = part.name();
          if (is_any(what, k_fetchers))
            sign(Effect::download_run, offset, text, is_known_installer(low));
          if (what == "base64" && (part.has("-d") || part.has("--decode") || part.has("-D")))
            sign(Effect::hidden_run, offset, text);
        }
      }
    for (std::size_t i = 1; i + 1 < command.words.size() + 1 && i < command.words.size(); ++i)
      if (command.words[i - 1] == "-c" || name == "eval")
        line(command.words[i], offset, nesting + 1);
  }
  for (const std::string& inner: nested)
    line(inner, offset, nesting + 1);
}

} // namespace

std::string decode_powershell(std::string_view base64) {
  static constexpr std::string_view k_alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  std::uint32_t buffer = 0;
  unsigned held = 0;
  for (const char c: base64.substr(0, k_max_line)) {
    if (c == '=') break;
    const std::size_t value = k_alphabet.find(c);
    if (value == std::string_view::npos) return {};
    buffer = (buffer << 6) | static_cast<std::uint32_t>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes += static_cast<char>((buffer >> held) & 0xff);
    }
  }
  std::string out;
  std::size_t printable = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    if (bytes[i + 1] != 0) return {};
    printable += bytes[i] >= ' ' && bytes[i] < 0x7f ? 1 : 0;
    out += bytes[i];
  }
  return out.size() >= 4 && printable * 10 >= out.size() * 8 ? out : std::string();
}

void logical_lines(std::string_view text,
                   const std::function<void(std::string_view, std::size_t)>& line_found) {
  std::size_t at = 0;
  std::string logical;
  std::size_t begin = 0;
  const auto tell = [&] {
    const std::size_t first = logical.find_first_not_of(" \t");
    // Entries of desktops and of systemd.
    for (const std::string_view key: {"Exec=", "ExecStart=", "ExecStartPre=", "ExecStop="})
      if (logical.starts_with(key)) logical.replace(0, key.size(), key.size(), ' ');
    // Make hides the echo of a command, or ignores that it failed.
    if (first != std::string::npos && (logical[first] == '@' || logical[first] == '-'))
      logical[first] = ' ';
    const bool comment = first == std::string::npos || logical[first] == '#' ||
                         logical.compare(first, 2, "::") == 0 ||
                         lower(logical.substr(first, 4)) == "rem ";
    if (!comment) line_found(logical, begin);
    logical.clear();
  };
  while (at < text.size()) {
    std::size_t end = text.find_first_of("\r\n", at);
    if (end == std::string_view::npos) end = text.size();
    const std::string_view line = text.substr(at, end - at);
    if (logical.empty()) begin = at;
    at = end + 1;
    // \ in shells, ^ in cmd and ` in PowerShell continue a line.
    const bool continued =
        !line.empty() && (line.back() == '\\' || line.back() == '^' || line.back() == '`');
    if (continued && logical.size() < k_max_line) {
      logical += line.substr(0, line.size() - 1);
      logical += ' ';
      continue;
    }
    logical += line;
    tell();
  }
  if (!logical.empty()) tell();
}

std::vector<Sign> analyse_shell(std::string_view text) {
  std::vector<Sign> signs;
  Reader reader(signs);
  logical_lines(text, [&](std::string_view line, std::size_t offset) {
    if (signs.size() < k_max_signs) reader.line(line, offset);
  });
  return signs;
}

std::string_view class_of(Effect effect) {
  switch (effect) {
  case Effect::remote_control:
    return "remote-control";
  case Effect::theft:
    return "theft";
  case Effect::persistence:
    return "persistence";
  case Effect::destruction:
    return "destruction";
  case Effect::propagation:
    return "propagation";
  case Effect::beacon:
    return "reconnaissance";
  default:
    return "execution";
  }
}

std::string_view words_of(Effect effect) {
  switch (effect) {
  case Effect::download_run:
    return "downloads something and runs it";
  case Effect::remote_control:
    return "gives a shell to somebody elsewhere";
  case Effect::hidden_run:
    return "decodes something and runs it";
  case Effect::encoded:
    return "runs an encoded PowerShell command";
  case Effect::living_off:
    return "uses a program of the system to fetch or run code";
  case Effect::persistence:
    return "makes something run again later";
  case Effect::theft:
    return "sends credentials away";
  case Effect::destruction:
    return "deletes what is not its own";
  case Effect::miner:
    return "mines cryptocurrency";
  case Effect::evasion:
    return "turns protection off";
  case Effect::propagation:
    return "uploads to a hub";
  case Effect::beacon:
    return "calls a host that only shows who calls";
  }
  return "";
}

std::string_view techniques_of(Effect effect) {
  switch (effect) {
  case Effect::remote_control:
    return "CNT-005 POL-008 CFG-026";
  case Effect::theft:
    return "CNT-007 CFG-026";
  case Effect::miner:
    return "CNT-008 CFG-026";
  case Effect::propagation:
    return "CNT-006";
  case Effect::beacon:
    return "CNT-009";
  default:
    return "CFG-026 POL-008";
  }
}

} // namespace hubgate::shell
