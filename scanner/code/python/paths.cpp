// Names of files, hosts and variables, and what they are good for.
#include "scanner/code/python/tables.hpp"

#include <algorithm>
#include <array>

namespace hubgate::python {
namespace {

bool contains_any(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return text.find(word) != std::string_view::npos;
  });
}

} // namespace

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
                             ".git/hooks/",
                             ".ipython/profile_default/startup",
                             ".config/fish/config.fish",
                             "CurrentVersion\\Run"}) ||
         (path.ends_with(".pth") && contains_any(path, {"site-packages", "dist-packages",
                                                        "getsitepackages", "getusersitepackages"}));
}

bool is_sensitive_folder(std::string_view path) {
  return contains_any(path, {"/.ssh/", "/.aws/", "/.gnupg/", "/.kube/", "/.azure/",
                             "Ethereum/keystore", ".ethereum/keystore", "\\.ssh\\"}) ||
         path.ends_with("/.kube") || path.ends_with("/.gnupg") || path.ends_with("/.azure");
}

bool is_raw_disk(std::string_view path) {
  for (const std::string_view disk: {"/dev/sd", "/dev/nvme", "/dev/hd", "/dev/vd", "/dev/mmcblk",
                                     "\\\\.\\PhysicalDrive", "/dev/disk"})
    if (path.starts_with(disk)) return true;
  return false;
}

bool is_collecting_host(std::string_view text) {
  const auto all = patterns();
  return std::any_of(all.begin(), all.end(), [&](const Pattern& pattern) {
    return pattern.feature == f_oast && text.find(pattern.text) != std::string_view::npos;
  });
}

bool runs_file(std::string_view command, std::string_view file) {
  static constexpr std::string_view k_breaks = ";&|\n(";
  static constexpr std::string_view k_blanks = " \t'\"";
  // Those run, or make runnable, what follows.
  static constexpr std::array<std::string_view, 37> k_runners{
      "sh",       "bash",  "zsh",        "dash",  "ksh",     "python",  "python2", "python3",
      "perl",     "ruby",  "node",       "php",   "pwsh",    "cmd",     "start",   "open",
      "sudo",     "nohup", "env",        "exec",  "setsid",  "source",  ".",       "time",
      "rundll32", "wine",  "java",       "chmod", "wscript", "cscript", "mshta",   "msiexec",
      "regsvr32", "doas",  "powershell", "pip",   "install"};
  bool runs = true; // the next word is a program, or what an interpreter runs
  for (std::size_t at = 0; at < command.size();) {
    if (k_breaks.find(command[at]) != std::string_view::npos) {
      runs = true;
      ++at;
      continue;
    }
    if (k_blanks.find(command[at]) != std::string_view::npos) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < command.size() && k_blanks.find(command[end]) == std::string_view::npos &&
           k_breaks.find(command[end]) == std::string_view::npos)
      ++end;
    std::string_view word = command.substr(at, end - at);
    const bool named = command.substr(at, word.size() + file.size()).find(file) < word.size();
    at = end;
    if (!runs) continue;
    if (named) return true;
    const char c = word.front();
    // Options, modes, assignments and what is not known.
    if (c == '-' || c == '+' || (c >= '0' && c <= '9') || (c == '/' && word.size() == 2) ||
        word.find_first_of("=\x1a") != std::string_view::npos)
      continue;
    const std::size_t slash = word.find_last_of("/\\");
    if (slash != std::string_view::npos) word.remove_prefix(slash + 1);
    if (word.ends_with(".exe")) word.remove_suffix(4);
    runs = std::find(k_runners.begin(), k_runners.end(), word) != k_runners.end();
  }
  return false;
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
